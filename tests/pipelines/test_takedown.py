"""One command takes down what was asked for in every room, and its exit status is the proof."""

import json
from pathlib import Path
from typing import Any

import pytest

from assets.remembered import kept_at
from crawlers.errors import ConfigError
from crawlers.exclusions import Exclusions
from crawlers.rows import PHOTO, LedgerEntry, Picture, PostResult, Row, now
from crawlers.staging import Staging
from curation.purge import Purged, purge_tables
from curation.reasons import PostState
from curation.tables import ShardedTable, write_json
from curation.takedown import find, record, recorded
from pipelines import takedown
from pipelines.__main__ import main
from pipelines.decisions import state_of
from pipelines.takedown import prove, take_down
from search.errors import IndexMissingError
from search.index import Index, build_index
from tests.curation.builders import picture, sha
from tests.curation.data_folder import make_data, photo
from tests.search.builders import BlockEncoder, product_rows, write_embeddings


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Crawl, dataset, index and drawn examples; products 1, 2, … of the posts are in the index too."""
    data = make_data(tmp_path / "data", range(1, 12))
    build_index(
        write_embeddings(data / "search" / "catalog_embeddings", product_rows()), data / "index", BlockEncoder.version
    )
    (data / "examples").mkdir()
    (data / "examples" / "0.jpg").write_bytes(photo(4))
    write_json(kept_at(data, "search_report"), {"metadata": {"queries": ["md", "pictures of many posts"]}})
    monkeypatch.setenv("FASHION_DATA", str(data))
    return data


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    status = main(["takedown", *arguments])
    return status, json.loads(capsys.readouterr().out)


def test_takedown__product_goes_from_every_room(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = _run(capsys, "--site", "kream", "--product", "3", "--reason", "the brand, 1 May")
    assert (status, told["proof"]["still_there"]) == (0, {})
    done = told["takedowns"][0]
    assert done["removed_rows"].keys() >= {"crawl/posts/kream", "search/catalog_embeddings/kream"}
    assert (len(done["index_versions"]), done["drawn_pictures"]) == (1, 2)
    assert not kept_at(data, "search_report").exists()
    assert "kream-3" not in Index.open(data / "index")
    assert Exclusions.read(data / "crawl", "kream").product("3")
    assert sha(picture(1003)) not in set(ShardedTable(data / "crawl" / "posts").table(["sha256"])["sha256"].to_pylist())


def test_takedown__posts_and_images_at_once_and_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://example.test/photo/4/0.jpg"
    arguments = ("--site", "kream", "--post", "002", "--post", "77", "--image", f"{url}?w=300", "--reason", "owner")
    status, told = _run(capsys, *arguments)
    assert status == 0
    assert [done["never_crawled"] for done in told["takedowns"]] == [["77"], []]
    known = Exclusions.read(data / "crawl", "kream")
    assert known.post(2)
    assert known.post(77)
    assert known.image(url)
    assert {2, 4}.isdisjoint(ShardedTable(data / "pair_dataset").table(["post_id"])["post_id"].to_pylist())
    assert _run(capsys, *arguments)[0] == 3  # nothing was left to remove


def _stage(data: Path, folder: str, pictures: dict[str, bytes]) -> Path:
    """Addresses with their pictures as a crawl leaves them that ended before its block or category did."""
    path = data / "crawl" / "staging" / folder / "000009.sqlite"
    staging = Staging(path)
    for post, (url, shown) in enumerate(pictures.items(), 90_001):
        picture = Picture(url, now(), shown, "JPEG", 1, 1, False, sha(shown))
        row = Row(post, PHOTO, 0, url, {"product_id": f"p{post}"})
        staging.commit(PostResult(LedgerEntry(post, PostState.DONE), (row,), (picture,)))
    staging.close()
    return path


@pytest.mark.parametrize("by", ["address", "sha256"])
def test_takedown__image_that_is_only_staged(data: Path, by: str, capsys: pytest.CaptureFixture[str]) -> None:
    url, copy, secret = "https://shop.test/a.jpg", "https://shop.test/copy.jpg", b"a picture that has to go " * 50
    other = "https://shop.test/other.jpg"
    posts = _stage(data, "kream", {url: secret, other: b"stays"})
    catalog = _stage(data, "catalog/29cm", {copy: secret})
    named = url if by == "address" else sha(secret)
    assert _run(capsys, "--check")[1]["proof"]["still_there"] == {}
    status, told = _run(capsys, "--site", "kream", "--image", named, "--reason", "owner")
    done = told["takedowns"][0]
    assert (status, done["never_crawled"], done["staged_rows"]) == (0, [], 4)
    assert secret[:25] not in posts.read_bytes() + catalog.read_bytes()
    assert b"stays" in posts.read_bytes()
    for site in ("kream", "29cm"):
        known = Exclusions.read(data / "crawl", site)
        assert (known.image(url), known.image(copy), known.image(other)) == (True, True, False)
    _stage(data, "onthelook", {copy: secret})  # a crawl that was under way brings it back
    assert _run(capsys, "--check")[1]["proof"]["still_there"].keys() == {
        "crawl/staging/onthelook (databases: every value)"
    }


def test_takedown__address_that_was_never_crawled_is_kept_in_mind(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "https://shop.test/later.jpg"
    status, told = _run(capsys, "--site", "kream", "--image", url, "--reason", "owner")
    assert (status, told["takedowns"][0]["never_crawled"]) == (3, [url])
    _stage(data, "kream", {url: b"crawled all the same"})
    assert _run(capsys, "--check")[0] == 1


def test_takedown__staged_post_goes_with_its_pictures(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = "https://shop.test/shared.jpg"
    path = _stage(data, "kream", {"https://shop.test/a.jpg": b"of this post alone", shared: photo(3)})
    status, told = _run(capsys, "--site", "kream", "--post", "90001", "--reason", "owner")
    done = told["takedowns"][0]
    assert (status, done["never_crawled"], done["staged_rows"]) == (0, [], 3)
    assert b"of this post alone" not in path.read_bytes()
    assert _run(capsys, "--site", "kream", "--post", "3", "--reason", "owner")[0] == 0
    staging = Staging(path)
    assert staging.picture(shared) is not None  # a staged post shows it too
    staging.close()


def test_takedown__post_with_the_number_of_a_staged_product_leaves_that_alone(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, shown = "https://shop.test/product.jpg", b"the picture of product 90001"
    path = _stage(data, "catalog/kream", {url: shown})
    done = _run(capsys, "--site", "kream", "--post", "90001", "--reason", "owner")[1]["takedowns"][0]
    assert (done["never_crawled"], done["staged_rows"]) == (["90001"], 0)
    assert shown in path.read_bytes()
    assert not Exclusions.read(data / "crawl", "kream").image(url)


def test_takedown__image_is_left_alone_by_a_site_that_has_a_catalog_only(data: Path) -> None:
    url = "https://example.test/photo/4/0.jpg"
    (data / "crawl" / "catalog" / "29cm").mkdir(parents=True)
    take_down(data, "kream", "image", [url], "owner")
    assert Exclusions.read(data / "crawl", "29cm").image(url)


def test_takedown__check_notices_what_came_back(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take_down(data, "kream", "post", ["3"], "owner")
    assert _run(capsys, "--check")[0] == 0
    (data / "examples" / "1.jpg").write_bytes(photo(3))
    status, told = _run(capsys, "--check")
    assert (status, len(told["proof"]["still_there"])) == (1, 1)


def test_takedown__finishes_one_that_was_interrupted(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    removal, _ = find(data, "kream", "product", ["3"])
    record(data, removal, "the brand")
    purge_tables(data / "crawl", removal)  # and then the power went
    status, told = _run(capsys, "--site", "kream", "--product", "3", "--reason", "the brand")
    assert (status, told["proof"]["still_there"]) == (0, {})
    assert told["takedowns"][0]["removed_rows"].keys() >= {"dedup/duplicate_clusters/kream"}


def test_takedown__index_that_cannot_be_made_anew(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The embeddings are of a newer encoder, whose index was refused, or was left by `search rollback`."""
    write_embeddings(data / "search" / "catalog_embeddings", product_rows(version="blocks-2"), "b")
    status, told = _run(capsys, "--site", "kream", "--product", "3", "--reason", "the brand")
    assert (status, told["proof"]["still_there"], len(told["takedowns"][0]["index_versions"])) == (0, {}, 1)
    assert "kream-3" not in Index.open(data / "index")


def test_takedown__drawn_pictures_go_though_the_index_cannot_be_reached(data: Path) -> None:
    with pytest.raises(IndexMissingError):
        take_down(data, "kream", "product", ["3"], "the brand", milvus="http://127.0.0.1:1")
    assert list((data / "examples").iterdir()) == []


def test_prove__lists_every_place(data: Path) -> None:
    take_down(data, "kream", "post", ["3"], "owner")
    proof = prove(data)
    folders = {place["folder"] for place in proof["places"]}
    assert {str(path.parent.relative_to(data)) for path in data.rglob("*") if path.is_file()} == folders
    assert sum(place["files"] for place in proof["places"]) == sum(path.is_file() for path in data.rglob("*"))


def test_takedown__sensor_waits_for_its_end(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state_of(data)
    at_work = []

    def purge(*arguments: Any) -> list[Purged]:
        at_work.append(state_of(data))
        return purge_tables(*arguments)

    monkeypatch.setattr(takedown, "purge_tables", purge)
    takedown.take_down(data, "kream", "post", ["2"], "its owner")
    assert at_work == [before]
    assert state_of(data)["takedowns"] != before["takedowns"]


@pytest.mark.parametrize("arguments", [[], ["--site", "kream", "--post", "1"], ["--post", "1", "--reason", "x"]])
def test_takedown__needs_site_reason_and_something(
    data: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["takedown", *arguments]) == 2
    assert "name --site, --reason and at least one" in capsys.readouterr().err


def test_takedown__site_that_is_not_known_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["takedown", "--site", "kraem", "--post", "3", "--reason", "x"]) == 2
    assert "--site must be one of 29cm, kream, musinsa, onthelook, got 'kraem'" in capsys.readouterr().err
    assert not (data / "takedowns.jsonl").exists()


def test_takedown__what_was_not_found_is_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["takedown", "--site", "kream", "--post", "3", "--post", "77", "--reason", "x"]) == 0
    told = "kream/77 was not found, or was removed before; it is kept out from now on. Check site and id."
    assert capsys.readouterr().err.splitlines()[0] == f"takedown: {told}"


def test_takedown__nothing_that_was_found_is_no_success(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = _run(capsys, "--site", "kream", "--product", "kream-777", "--reason", "x")
    assert (status, told["takedowns"][0]["never_crawled"]) == (3, ["777"])
    assert Exclusions.read(data / "crawl", "kream").product("777")


def test_takedown__product_by_the_id_that_the_search_service_shows(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = _run(capsys, "--site", "kream", "--product", "kream-3", "--reason", "the brand")
    assert (status, told["takedowns"][0]["product"], told["takedowns"][0]["never_crawled"]) == (0, ["3"], [])
    assert "kream-3" not in Index.open(data / "index")


def test_takedown__ends_with_the_verdict(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["takedown", "--site", "kream", "--product", "3", "--reason", "the brand"])
    removed, proof, todo = capsys.readouterr().err.splitlines()
    assert removed.startswith("takedown: removed: ")
    assert removed.endswith(" rows, 2 drawn pictures; indexes written anew or deleted: 1")
    assert proof.startswith("takedown: proof: ")
    assert proof.endswith(" is left")
    assert todo.startswith("takedown: still to do: restart the search service; ")
    take_down(data, "kream", "post", ["3"], "owner")
    (data / "examples" / "1.jpg").write_bytes(photo(3))
    assert main(["takedown", "--check"]) == 1
    (proof,) = capsys.readouterr().err.splitlines()
    assert "STILL THERE in examples " in proof


@pytest.mark.parametrize("named", ["3", "kream-3"])
def test_lift__product_may_come_back(data: Path, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    take_down(data, "kream", "product", ["3"], "the brand")
    taken_down, before = recorded(data), state_of(data)
    assert taken_down.pictures
    status, told = _run(capsys, "--lift", "--site", "kream", "--product", named, "--reason", "a typo")
    assert (status, told) == (0, {"lifted": [{"product": ["3"]}]})
    assert not Exclusions.read(data / "crawl", "kream").product("3")
    assert (recorded(data).products, recorded(data).pictures, recorded(data).urls) == (set(), set(), set())
    assert recorded(data).renamed == taken_down.renamed
    assert state_of(data)["takedowns"] != before["takedowns"]
    assert prove(data)["still_there"] == {}


def test_lift__leaves_what_others_asked_for(data: Path) -> None:
    take_down(data, "kream", "post", ["2", "3"], "owners")
    take_down(data, "kream", "post", ["4"], "another")
    pictures = recorded(data).pictures
    takedown.lift(data, "kream", "post", ["3", "4"], "one was a typo")
    assert recorded(data).posts == {"kream/2"}
    assert set() < recorded(data).pictures < pictures  # those of 2 and 3 stay out
    takedown.lift(data, "kream", "post", ["2"], "the other too")
    assert recorded(data).pictures == set()
    take_down(data, "kream", "post", ["3"], "after all")
    assert recorded(data).posts == {"kream/3"}


def test_lift__image_on_every_site(data: Path) -> None:
    url, copy = "https://shop.test/a.jpg", "https://shop.test/copy.jpg"
    _stage(data, "kream", {url: b"a picture that has to go " * 50})
    _stage(data, "catalog/29cm", {copy: b"a picture that has to go " * 50})
    take_down(data, "kream", "image", [url], "owner")
    with pytest.raises(ConfigError, match=r"nothing of kream is kept out by the name https://shop.test/b\.jpg"):
        takedown.lift(data, "kream", "image", ["https://shop.test/b.jpg"], "x")
    assert takedown.lift(data, "kream", "image", [f"{url}?w=3"], "a typo") == {"image": [url, copy]}
    for site in ("kream", "29cm"):
        known = Exclusions.read(data / "crawl", site)
        assert (known.image(url), known.image(copy)) == (False, False)


def test_lift__what_was_never_taken_down(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["takedown", "--lift", "--site", "kream", "--post", "77", "--reason", "x"]) == 1
    assert "post: nothing of kream is kept out by the name 77" in capsys.readouterr().err
    assert not (data / "takedowns.jsonl").exists()


@pytest.mark.parametrize("image", ["shop.test/a.jpg", sha(b"x")[:63], "ftp://shop.test/a.jpg"])
def test_takedown__image_that_is_neither_address_nor_digest(
    data: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["takedown", "--site", "kream", "--image", image, "--reason", "x"]) == 1
    assert f"image: must be an address that begins with http, or a sha256, got {image!r}" in capsys.readouterr().err
    assert not (data / "takedowns.jsonl").exists()


def test_takedown__digest_that_was_never_crawled_is_kept_in_mind(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = b"a picture that has to go " * 50
    status, told = _run(capsys, "--site", "kream", "--image", sha(secret).upper(), "--reason", "owner")
    assert (status, told["takedowns"][0]["never_crawled"]) == (3, [sha(secret)])
    _stage(data, "kream", {"https://shop.test/later.jpg": secret})
    assert _run(capsys, "--check")[0] == 1


@pytest.mark.parametrize("arguments", [["--check"], ["--site", "kream", "--post", "3", "--reason", "x"]])
def test_takedown__folder_that_is_not_there_proves_nothing(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASHION_DATA", str(tmp_path / "elsewhere"))
    assert main(["takedown", *arguments]) == 2
    assert "there is no data folder" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_takedown__table_that_is_none_is_told_in_a_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data / "crawl" / "posts" / "empty.parquet"
    path.touch()
    assert main(["takedown", "--site", "kream", "--post", "3", "--reason", "x"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"takedown: {path} is no Parquet file")


def test_takedown__bad_id_changes_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    assert main(["takedown", "--site", "kream", "--post", "first", "--reason", "x"]) == 1
    assert "post: must be a post id, got 'first'" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
