"""Take-downs: what is named is found everywhere, nothing else goes, and the proof sees what was forgotten."""

import json
import os
import shutil
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest
from upath import UPath

from curation.audit import audit
from curation.card import PICTURE, write_card
from curation.places import files_at, keep_tables_at, read_manifest, send
from curation.proof import TRUTH, search_everywhere
from curation.purge import purge_notes, purge_tables, purge_versions
from curation.republish import republish
from curation.review import Decision, Verdict, VerdictLog, read_verdicts
from curation.schemas import CANDIDATES, HASHES
from curation.tables import ShardedTable, mirror, write_json
from curation.takedown import Removal, also_seen, find
from curation.versions import Versions
from tests.curation.builders import candidate_row, damage, picture, picture_row, sha
from tests.curation.data_folder import make_data, photo, write_table


def _posts(root: Path) -> set[int]:
    return set(ShardedTable(root).table(["post_id"])["post_id"].to_pylist())


def _still_there(data: Path, removal: Removal) -> dict[str, list[str]]:
    return {place.folder: place.found for place in search_everywhere(data, removal) if place.found}


def _purge(data: Path, removal: Removal) -> dict[str, int]:
    purged = purge_tables(data, removal) + purge_versions(Versions(data / "pair_dataset"), removal)
    return {place.place: place.rows for place in purged + purge_notes(data, removal)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two versions, a verdict and an audit that all hold post 3."""
    data = make_data(tmp_path / "data", range(1, 12))
    make_data(data, range(1, 14))
    row = candidate_row(3)
    said = Verdict(sha(photo(3)), tuple(row["box"]), row["positive_sha256"], Decision.ACCEPT, "ann")
    VerdictLog(data / "review" / "verdicts").append([said, Verdict("other", (0, 0, 1, 1), "p", Decision.REJECT, "ann")])
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "3.jpg").write_bytes(photo(3))
    audit(tmp_path / "bench", data, remove=False)
    return data


def test_take_down__reaches_tables_that_lie_elsewhere(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("dedup", "pairs"):
        (data / name).rename(elsewhere / name)
    keep_tables_at(data, str(elsewhere))
    removal, _ = find(data, "kream", "post", ["3"])
    assert sha(picture(3)) in removal.pictures  # the crop, which only candidate_pairs knows
    tables = {str(elsewhere / name) for name in ("dedup/image_hashes/kream", "pairs/candidate_pairs/kream")}
    assert _still_there(data, removal).keys() >= tables
    assert _purge(data, removal).keys() >= tables
    assert _still_there(data, removal) == {}
    assert republish(data)["rows"]["train"] > 0


def test_take_down__copies_of_versions_at_a_url_become_those_here(data: Path) -> None:
    at = "memory://copies"
    keep_tables_at(data, at)
    for name in ("dedup/image_hashes", "dedup/duplicate_clusters", "pairs/candidate_pairs"):
        mirror(ShardedTable(data / name), UPath(at) / name)
    versions = Versions(data / "pair_dataset")
    root = UPath(at) / versions.folder.name
    for name in versions.names:
        send(versions.folder / name, root / name)
    versions.remove("0001")
    _purge(data, find(data, "kream", "post", ["3"])[0])
    here = {f"0002/{path.name}": path.read_bytes() for path in (versions.folder / "0002").iterdir()}
    assert {name: copy.path.read_bytes() for name, copy in files_at(root).items()} == here


def test_take_down__what_killed_writers_left_goes_or_is_found(data: Path) -> None:
    removal, _ = find(data, "kream", "post", ["3"])
    table = data / "crawl" / "posts" / "kream" / "000000.parquet"
    unfinished = table.with_name(f".{table.name}.0.tmp")
    staging = Versions(data / "pair_dataset").folder / ".0.tmp"
    shutil.copyfile(table, unfinished)
    shutil.copytree(staging.with_name("0001"), staging)
    _purge(data, removal)
    assert _still_there(data, removal).keys() == {"crawl/posts/kream", "pair_dataset_versions/.0.tmp"}  # at work?
    for path in (unfinished, *staging.iterdir(), staging):
        os.utime(path, (0, 0))
    _purge(data, removal)
    assert _still_there(data, removal) == {}


def test_take_down__post_goes_from_everywhere_and_nothing_else(data: Path) -> None:
    removal, unknown = find(data, "kream", "post", ["3"])
    assert unknown == []
    assert {sha(photo(3)), sha(picture(3)), sha(picture(1003))} == removal.pictures  # photo, crop, thumbnail
    before = _still_there(data, removal)
    assert before.keys() >= {
        "crawl/posts/kream", "dedup/image_hashes/kream", "dedup/duplicate_clusters/kream", "review/verdicts", "audits",
        "pairs/candidate_pairs/kream", "pair_dataset_versions/0001", "pair_dataset_versions/0002",
    }  # fmt: skip
    removed = _purge(data, removal)
    assert removed["crawl/posts/kream"] == 2
    assert removed["pair_dataset_versions/0001"] == removed["pair_dataset_versions/0002"] == 1
    assert _still_there(data, removal) == {}
    assert _posts(data / "crawl" / "posts") == set(range(1, 14)) - {3}
    assert _posts(data / "pair_dataset") == {1, 2, 4, 6, 7, 8, 9, 11, 12, 13}
    assert [verdict.anchor_sha256 for verdict in read_verdicts(data / "review" / "verdicts")] == ["other"]
    assert _purge(data, removal) == {}  # nothing left to do


def test_purge_notes__audit_forgets_what_it_left_out(data: Path, tmp_path: Path) -> None:
    audit(tmp_path / "bench", data, remove=True)
    purge_notes(data, find(data, "kream", "post", ["3"])[0])
    report = json.loads((data / "audits" / "bench.json").read_text())
    assert (report["overlaps"], report["left_out"]) == ([], [])


@pytest.mark.parametrize("kind", ["post", "product"])
def test_purge_notes__audit_forgets_the_pair_of_an_anchor_that_was_cut_anew(
    data: Path, tmp_path: Path, kind: Literal["post", "product"]
) -> None:
    (tmp_path / "bench" / "3.jpg").write_bytes(picture(3))  # the anchor
    audit(tmp_path / "bench", data, remove=True)
    path = data / "audits" / "bench.json"
    report = json.loads(path.read_text())
    assert report["left_out"][0]["pairs"] == [[sha(photo(3)), sha(picture(1003))]]
    cut_by_another = {"sha256": "c" * 64}
    write_json(path, report | {"left_out": [report["left_out"][0] | cut_by_another], "overlaps": []})
    removal, _ = find(data, "kream", kind, ["3"])
    _purge(data, removal)
    assert json.loads(path.read_text())["left_out"] == []
    assert _still_there(data, removal) == {}


def test_take_down__versions_stay_whole_and_share_what_they_shared(data: Path) -> None:
    _purge(data, find(data, "kream", "post", ["3"])[0])
    versions = Versions(data / "pair_dataset")
    for name in versions.names:
        manifest = read_manifest(versions.folder / name)
        table = ShardedTable(versions.folder / name)
        assert (sum(manifest["rows"].values()), manifest["taken_down"]) == (table.rows, 1)
        assert manifest["shards"].keys() == {shard.name for shard in table.shards}
        assert manifest["fingerprint"] == table.fingerprint
    assert republish(data)["difference"]["removed"] == 0


@pytest.mark.parametrize("reached", ["describe", "write_card", "write_json"])
def test_take_down__interrupted_before_a_version_was_described(
    data: Path, reached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    removal, _ = find(data, "kream", "post", ["3"])
    versions = Versions(data / "pair_dataset")
    before = (versions.folder / "0001" / PICTURE).read_bytes()

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(f"curation.purge.{reached}", full)
        with pytest.raises(OSError, match="No space"):
            purge_versions(versions, removal)
    assert sum(place.rows for place in purge_versions(versions, removal)) == 2
    for name in versions.names:
        manifest = read_manifest(versions.folder / name)
        assert (manifest["fingerprint"], manifest["taken_down"]) == (
            ShardedTable(versions.folder / name).fingerprint,
            1,
        )
        shown = (versions.folder / name / PICTURE).read_bytes()
        write_card(versions.folder / name, manifest)
        assert shown == (versions.folder / name / PICTURE).read_bytes()
    assert (versions.folder / "0001" / PICTURE).read_bytes() != before
    assert purge_versions(versions, removal) == []


def test_take_down__ledger_keeps_the_id_as_excluded(data: Path) -> None:
    _purge(data, find(data, "kream", "post", ["3"])[0])
    rows = {row["post_id"]: row for row in ShardedTable(data / "crawl" / "ledger").table().to_pylist()}
    assert (rows[3]["state"], rows[3]["reason"], rows[3]["photos"]) == ("excluded", "take_down", 0)
    assert rows[4]["state"] == "done"


def test_take_down__last_pair_of_a_version_takes_the_version_along(tmp_path: Path) -> None:
    data = make_data(tmp_path, [3])
    _purge(data, find(data, "kream", "post", ["3"])[0])
    assert Versions(data / "pair_dataset").names == []
    assert not (data / "pair_dataset").is_symlink()


def test_find__product_and_image(data: Path) -> None:
    by_product, _ = find(data, "kream", "product", ["4"])
    assert (by_product.products, sha(picture(1004)) in by_product.pictures) == ({"kream/4"}, True)
    assert not {sha(photo(4)), sha(picture(4))} & by_product.pictures  # nor the crop of a photo that stays
    by_url, _ = find(data, "kream", "image", ["https://example.test/photo/4/0.jpg"])
    by_sha, _ = find(data, "kream", "image", [sha(photo(4))])
    assert by_url == by_sha
    write_table(data / "crawl" / "posts", "more", rows=[picture_row(40, "photo", 0, photo(4))])
    elsewhere = "https://example.test/photo/40/0.jpg"
    assert find(data, "kream", "image", [sha(photo(4))])[0].urls == {*by_url.urls, elsewhere}
    assert sha(photo(4)) in by_url.pictures
    assert find(data, "kream", "post", ["99"])[1] == ["99"]


def test_find__picture_that_others_show_stays(tmp_path: Path) -> None:
    data = make_data(tmp_path, [1, 2])
    rows = ShardedTable(data / "crawl" / "posts").table().to_pylist()
    shared = next(row for row in rows if row["role"] == "product" and row["post_id"] == 1)
    write_table(data / "crawl" / "posts", "more", rows=[shared | {"post_id": 7}])
    removal, _ = find(data, "kream", "post", ["1"])
    assert sha(picture(1001)) not in removal.pictures
    assert sha(photo(1)) in removal.pictures


def test_find__another_sites_post_of_that_id_stays(tmp_path: Path) -> None:
    data = make_data(tmp_path, [1, 2])
    write_table(data / "crawl" / "posts", "more", rows=[picture_row(1, "photo", 0, photo(50), site="onthelook")])
    removal, _ = find(data, "kream", "post", ["1"])
    assert sha(photo(1)) in removal.pictures
    assert sha(photo(50)) not in removal.pictures


def test_find__crop_that_another_pair_holds_too_stays(tmp_path: Path) -> None:
    data = make_data(tmp_path, [1, 2])
    again = candidate_row(31, crop_sha256=sha(picture(1)))
    write_table(data / "pairs" / "candidate_pairs", "more", rows=[again], schema=CANDIDATES)
    removal, _ = find(data, "kream", "post", ["1"])
    assert sha(photo(1)) in removal.pictures
    assert sha(picture(1)) not in removal.pictures


def test_also_seen__a_photo_that_another_post_shows_too(tmp_path: Path) -> None:
    data = make_data(tmp_path, [1, 2])
    shared = {"bytes": photo(1), "sha256": sha(photo(1))}
    posts = ShardedTable(data / "crawl" / "posts").table().to_pylist()
    posts = [row | shared if (row["post_id"], row["role"]) == (2, "photo") else row for row in posts]
    write_table(data / "crawl" / "posts", "000000", rows=posts)
    hashes = ShardedTable(data / "dedup" / "image_hashes").table().to_pylist()
    again = next(row for row in hashes if row["sha256"] == shared["sha256"]) | {"post_id": 2}
    write_table(data / "dedup" / "image_hashes", "000000", rows=[*hashes, again], schema=HASHES)
    removal, _ = find(data, "kream", "post", ["1"])
    assert shared["sha256"] not in removal.pictures
    assert also_seen(data, removal) == ["kream/2"]


def test_removal__a_picture_that_never_came_goes_by_its_address() -> None:
    table = pa.table({"image_url": ["http://h/1.jpg", "http://h/2.jpg"], "sha256": pa.array([None, None], pa.string())})
    assert Removal(urls=frozenset(["http://h/1.jpg"])).without(table)["image_url"].to_pylist() == ["http://h/2.jpg"]


def test_search_everywhere__sees_what_no_table_owns(data: Path, tmp_path: Path) -> None:
    removal, _ = find(data, "kream", "post", ["3"])
    _purge(data, removal)
    (data / "elsewhere").mkdir()
    (data / "elsewhere" / "copy.jpg").write_bytes(photo(3))
    (data / "elsewhere" / "list.json").write_text(json.dumps({"pictures": [sha(photo(3))]}))
    write_table(data / "elsewhere", "again", rows=[picture_row(9, "photo", 0, photo(3))])
    thumbnails = pa.table({"thumbnail": pa.array([photo(3)], pa.large_binary())})  # as an index keeps them
    with pa.ipc.new_file(data / "elsewhere" / "thumbnails.arrow", thumbnails.schema) as file:
        file.write_table(thumbnails)
    places = [place for place in search_everywhere(data, removal) if place.found]  # one for each way of searching
    assert {place.folder for place in places} == {"elsewhere", "elsewhere/kream"}
    named = {name.partition(":")[0] for place in places if place.folder == "elsewhere" for name in place.found}
    assert named == {"copy.jpg", "list.json", "thumbnails.arrow"}


def test_take_down__file_that_cannot_be_read_hides_nothing_behind_it(data: Path) -> None:
    (data / "aaa").mkdir()
    (data / "aaa" / "empty.parquet").touch()
    write_table(data / "aaa", "damaged", rows=[picture_row(3, "photo", 0, photo(3))])
    damage(data / "aaa" / "kream" / "damaged.parquet", "bytes", [0])
    removal, _ = find(data, "kream", "post", ["3"])
    assert _purge(data, removal)["crawl/posts/kream"] == 2
    found = _still_there(data, removal)
    assert found.keys() == {"aaa", "aaa/kream"}
    for told, name in ((found["aaa"], "empty"), (found["aaa/kream"], "damaged")):
        assert [text.partition(".parquet: unreadable: ")[0] for text in told] == [name]


def test_take_down__version_that_cannot_be_read_hides_no_other(data: Path) -> None:
    versions = Versions(data / "pair_dataset").folder
    (versions / "0001" / "train-00099-0.parquet").touch()
    removal, _ = find(data, "kream", "post", ["3"])
    assert "pair_dataset_versions/0002" in _purge(data, removal)
    found = _still_there(data, removal)
    assert found.keys() == {"pair_dataset_versions/0001"}
    assert any(text.startswith("train-00099-0.parquet: unreadable") for text in found["pair_dataset_versions/0001"])
    (versions / "0001" / "train-00099-0.parquet").unlink()
    _purge(data, removal)
    assert _still_there(data, removal) == {}


def test_purge_tables__full_disk_ends_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("curation.purge.write_shard", full)
    with pytest.raises(OSError, match="No space"):
        purge_tables(data, find(data, "kream", "post", ["3"])[0])


def test_search_everywhere__says_that_the_truth_of_the_sandbox_is_no_crawled_table(data: Path) -> None:
    removal, _ = find(data, "kream", "post", ["3"])
    _purge(data, removal)
    write_table(data / TRUTH, "posts", rows=[picture_row(3, "photo", 0, photo(3))])
    places = [place for place in search_everywhere(data, removal) if Path(place.folder).is_relative_to(TRUTH)]
    assert [(place.files, place.found) for place in places] == [(1, [])]
    assert places[0].how.startswith("not searched")
