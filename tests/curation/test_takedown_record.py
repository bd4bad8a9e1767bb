"""The record of take-downs: what it keeps out, how an interrupted one is finished, and the names of clusters."""

import json
import shutil
from pathlib import Path

import pytest

from curation.dedup import UNFINISHED, DuplicateIndex
from curation.places import keep_tables_at, place, tables_of
from curation.proof import search_everywhere
from curation.purge import purge_tables, purge_versions
from curation.republish import republish
from curation.schemas import CANDIDATES, CLUSTERS, MATCHES
from curation.tables import ShardedTable, mirror, rows_to_batch, write_shard
from curation.takedown import RECORD, Removal, also_seen, find, record, recorded
from curation.versions import Versions
from tests.curation.builders import sha
from tests.curation.data_folder import make_data, photo, write_table

_CLUSTERS = "dedup/duplicate_clusters"
_PAIRS = "pairs/candidate_pairs"


def _joined(root: Path, *numbers: int) -> Path:
    """The photos of these posts are one cluster, named after the first."""
    data = make_data(root, [1, 2, 3, 4])
    first, *others = (sha(photo(number)) for number in numbers)
    changes = {"cluster_id": first, "is_representative": False, "evidence": "near_duplicate"}
    rows = ShardedTable(data / _CLUSTERS).table().to_pylist()
    rows = [row | changes if row["sha256"] in others else row for row in rows]
    write_table(data / _CLUSTERS, "000000", rows=rows, schema=CLUSTERS)
    rows = ShardedTable(data / _PAIRS).table().to_pylist()
    rows = [row | {"photo_cluster_id": first} if row["anchor_sha256"] in others else row for row in rows]
    write_table(data / _PAIRS, "000000", rows=rows, schema=CANDIDATES)
    return data


def _take_down(data: Path, post: int) -> Removal:
    record(data, find(data, "kream", "post", [str(post)])[0], "owner")
    return recorded(data)


def test_removal__clusters_take_the_name_of_the_next_picture(tmp_path: Path) -> None:
    data = _joined(tmp_path, 1, 2)
    first, second = sha(photo(1)), sha(photo(2))
    assert also_seen(data, find(data, "kream", "post", ["1"])[0]) == ["kream/2"]
    removal = _take_down(data, 1)
    assert removal.renamed == {first: second}
    purge_tables(data, removal)
    left = {row["sha256"]: row for row in ShardedTable(data / _CLUSTERS).table().to_pylist()}
    assert (left[second]["cluster_id"], left[second]["is_representative"]) == (second, True)


def test_recorded__names_of_clusters_outlive_the_table_that_tells_them(tmp_path: Path) -> None:
    data = _joined(tmp_path / "data", 1, 2)
    (data / "pairs").rename(tmp_path / "kept")
    purge_tables(data, _take_down(data, 1))  # it was killed before it came to pairs/
    (tmp_path / "kept").rename(data / "pairs")
    removal = _take_down(data, 1)
    purge_tables(data, removal)
    purge_versions(Versions(data / "pair_dataset"), removal)
    rows = ShardedTable(data / _PAIRS).table(["post_id", "photo_cluster_id"]).to_pylist()
    assert next(row["photo_cluster_id"] for row in rows if row["post_id"] == 2) == sha(photo(2))
    assert [place.found for place in search_everywhere(data, removal) if place.found] == []


def test_take_down__reaches_where_tables_lay_before(tmp_path: Path) -> None:
    data, before, url = make_data(tmp_path / "data", [1, 2, 3]), tmp_path / "before", "memory://before"
    for at in (str(before), url, ""):
        if at:
            mirror(ShardedTable(data / "pairs"), place(at) / "pairs")
        keep_tables_at(data, at)
    assert tables_of(data) == data
    removal = _take_down(data, 3)
    still_there = {found.folder for found in search_everywhere(data, removal) if found.found}
    old = {str(root / _PAIRS / "kream") for root in (before, place(url))}
    assert still_there >= old
    assert {done.place for done in purge_tables(data, removal)} >= old
    shutil.move(before, tmp_path / "unmounted")
    (gone,) = (found for found in search_everywhere(data, removal) if found.folder == str(before))
    assert (gone.files, gone.found) == (0, [f"{before} cannot be reached: there is no such folder"])


@pytest.mark.parametrize("interrupted", [False, True])
def test_recorded__names_of_clusters_follow_one_another(tmp_path: Path, interrupted: bool) -> None:
    data = _joined(tmp_path, 1, 2, 3)
    first, second, third = (sha(photo(number)) for number in (1, 2, 3))
    removal = _take_down(data, 1)
    if not interrupted:
        purge_tables(data, removal)
    renamed = _take_down(data, 2).renamed
    assert (renamed[first], renamed.get(second, third)) == (third, third)


def test_recorded__name_that_some_shards_have_already_stays(tmp_path: Path) -> None:
    data = _joined(tmp_path, 1, 2, 3)
    first, second = sha(photo(1)), sha(photo(2))
    _take_down(data, 1)
    rows = ShardedTable(data / _CLUSTERS).table().to_pylist()  # it was killed when it had renamed the second picture
    rows = [row | {"cluster_id": second} if row["sha256"] == second else row for row in rows]
    write_table(data / _CLUSTERS, "000000", rows=rows, schema=CLUSTERS)
    assert _take_down(data, 1).renamed == {first: second}


def test_recorded__line_of_an_earlier_release(tmp_path: Path) -> None:
    data = _joined(tmp_path, 1, 2)
    pictures = _take_down(data, 1).pictures
    line = json.loads((data / RECORD).read_text())
    (data / RECORD).write_text(json.dumps({name: line[name] for name in line if name != "renamed"}) + "\n")
    assert (recorded(data).pictures, recorded(data).renamed) == (pictures, {})
    assert _take_down(data, 4).renamed == {sha(photo(1)): sha(photo(2))}  # the other is finished too


def test_recorded__keeps_it_out_of_later_versions(tmp_path: Path) -> None:
    data = make_data(tmp_path, range(1, 14))
    removal, _ = find(data, "kream", "post", ["3"])
    record(data, removal, "mail of 1 May")
    assert recorded(data).pictures == removal.pictures
    manifest = republish(data)  # the tables still hold it, as after a crawl that was faster
    assert manifest["left_out"] == {"taken_down": 1}
    assert 3 not in ShardedTable(data / "pair_dataset").table(["post_id"])["post_id"].to_pylist()


def test_recorded__reason_with_any_line_break_is_one_line(tmp_path: Path) -> None:
    removal = Removal(pictures=frozenset({"ab12"}))
    for mark in ("\u2028", "\u2029", "\x85"):
        record(tmp_path, removal, f"mail of 1 May{mark}from the owner")
    assert recorded(tmp_path).pictures == {"ab12"}


def test_recorded__line_that_was_never_finished(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for post in ("kream/1", "kream/2"):
        record(tmp_path, Removal(posts=frozenset({post})), "owner")
    path = tmp_path / RECORD
    path.write_bytes(path.read_bytes()[:-20])
    assert recorded(tmp_path).posts == {"kream/1"}
    assert f"{path}:2 was never finished" in caplog.text
    record(tmp_path, Removal(posts=frozenset({"kream/2"})), "owner")
    assert recorded(tmp_path).posts == {"kream/1", "kream/2"}


def test_purge_tables__update_that_was_cut_short_stays_unfinished(tmp_path: Path) -> None:
    distances = dict.fromkeys(("phash_distance", "dhash_distance", "colour_distance", "luma_distance"), 0)
    rows = [{"role": "photo", "a_sha256": "a", "b_sha256": b, **distances} for b in ("b", "c")]
    table = DuplicateIndex(tmp_path / "dedup").matches
    write_shard(table.root, "all", MATCHES, [rows_to_batch(rows, MATCHES)], fingerprint=UNFINISHED)
    assert sum(done.rows for done in purge_tables(tmp_path, Removal(pictures=frozenset("c")))) == 1
    assert [shard.fingerprint for shard in table.shards] == [UNFINISHED]
