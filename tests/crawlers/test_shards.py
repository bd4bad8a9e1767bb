"""Catalog shards of one site: each product is in one of them."""

from pathlib import Path

import pytest

from crawlers.errors import StoppedCrawlError
from crawlers.rows import product_key
from crawlers.shards import export_catalog, stage_pictures
from crawlers.staging import Staging
from curation.reasons import ImageFault
from curation.tables import ShardedTable
from tests.crawlers.test_staging import listed, picture


def exported(out: Path, name: str, *numbers: int, made: tuple[str, ...] = (), fault: ImageFault | None = None) -> None:
    """Export the catalog shard of a category that lists some products; the picture of 8 may have failed."""
    staging = Staging(out / "staging" / f"{name}.sqlite")
    for number in numbers:
        url = f"http://h/{number}.png"
        staging.add(listed(number, "x", url), picture(url, fault if number == 8 else None))
    export_catalog(out, name, staging, made=made)
    staging.remove()


def shards(out: Path) -> dict[str, tuple[str, list[str]]]:
    """Catalog shard → its fingerprint and products."""
    found = ShardedTable(out / "catalog").shards
    return {shard.name: (shard.fingerprint, shard.table()["product_id"].to_pylist()) for shard in found}


def test_export_catalog__product_that_moved_is_in_its_new_shard_only(tmp_path: Path) -> None:
    for name, numbers in (("kream/outer", (7, 8, 9)), ("kream/top", (10,)), ("29cm/outer", (8,))):
        exported(tmp_path, name, *numbers)
    exported(tmp_path, "kream/top", 8, 10, fault=ImageFault.TRANSFER)
    for name, numbers in (("kream/outer", (7, 9)), ("kream/top", (8, 10)), ("29cm/outer", (8,))):
        exported(tmp_path / "fresh", name, *numbers)
    assert shards(tmp_path) == shards(tmp_path / "fresh")  # and 8 has the picture that it had
    assert dict(ShardedTable(tmp_path / "catalog", "kream").counts) == {"products": 4}


def test_export_catalog__what_is_raised_between_rows_leaves_all_shards_as_they_were(tmp_path: Path) -> None:
    exported(tmp_path, "kream/outer", 7, 8)
    before = shards(tmp_path)
    staging = Staging(tmp_path / "top.sqlite")
    staging.add(listed(8, "x", "http://h/8.png"), picture("http://h/8.png"))

    def stop() -> None:
        raise StoppedCrawlError

    with pytest.raises(StoppedCrawlError):
        export_catalog(tmp_path, "kream/top", staging, stop)
    assert shards(tmp_path) == before


def test_export_catalog__product_listed_twice_in_one_crawl_is_in_the_first_shard(tmp_path: Path) -> None:
    lists = {"kream/outer": (7, 8), "kream/top": (8, 9)}
    for out, order in ((tmp_path / "1", sorted(lists)), (tmp_path / "2", sorted(lists, reverse=True))):
        for place, name in enumerate(order):
            exported(out, name, *lists[name], made=tuple(order[:place]))
    assert {name: numbers for name, (_, numbers) in shards(tmp_path / "1").items()} == {
        "kream/outer": ["7", "8"],
        "kream/top": ["9"],
    }
    assert shards(tmp_path / "1") == shards(tmp_path / "2")


def test_product_key__numbers_in_their_order_and_any_other_id_after_them() -> None:
    numbers, others = ["0", "7", "12", str(2**62 - 1)], ["SKU-1", "SKU-2", "007", "１２", str(2**62), "9" * 5000, "-1"]
    keys = [product_key(text) for text in (*numbers, *others)]
    assert keys[: len(numbers)] == [0, 7, 12, 2**62 - 1]
    assert len(set(keys)) == len(keys)
    assert all(2**62 <= key < 2**63 for key in keys[len(numbers) :])  # what SQLite can hold
    assert product_key("SKU-1") == 7_394_695_882_686_459_509  # the same in every run


def test_stage_pictures__what_is_raised_between_pictures_ends_it(tmp_path: Path) -> None:
    exported(tmp_path, "kream/outer", 8)

    def stop() -> None:
        raise StoppedCrawlError

    staging = Staging(tmp_path / "outer.sqlite")
    with pytest.raises(StoppedCrawlError):
        stage_pictures(tmp_path, "kream/outer", staging, stop)
    assert staging.picture("http://h/8.png") is None
