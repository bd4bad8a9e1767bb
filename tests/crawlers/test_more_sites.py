"""Retailers that are one page object and one line: Musinsa's snaps by their feed, 29CM's catalog without a browser."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crawlers.spiders.catalog import _check_lost
from curation.tables import ShardedTable
from tests.crawlers.commands import content, crawl, ledger
from tests.crawlers.shops import FEED_PAGE, FIRST_SNAP, Shops, open_shops

SNAPS = [FIRST_SNAP + n * 10**14 for n in range(1, 9)]
BLOCKS = ("--block-size", str(10**15), "--browser", "/none")


def test_musinsa__feed_is_walked_to_what_is_known(tmp_path: Path) -> None:
    shops = Shops(snaps=SNAPS[:5])
    with open_shops(shops) as url:
        first = crawl("musinsa", url, tmp_path, *BLOCKS)
        assert (first["kept"], shops.hits["snap"], shops.hits["feed"]) == (5, 5, 3)
        shops.snaps += SNAPS[5:6]
        again = crawl("musinsa", url, tmp_path, *BLOCKS)
        assert (again["kept"], again["pages"], shops.hits["snap"], shops.hits["feed"]) == (6, 1, 6, 5)
    assert ledger(tmp_path, "musinsa") == dict.fromkeys(SNAPS[:6], "done")
    rows = ShardedTable(tmp_path / "posts", "musinsa").table().to_pylist()
    products = {row["post_id"]: (row["product_id"], row["brand"]) for row in rows if row["role"] == "product"}
    assert products == {snap: (str(snap % 100), "Hanbit") for snap in SNAPS[:6]}
    assert not list((tmp_path / "staging").rglob("feed.json"))


def test_musinsa__what_a_cut_run_left_is_crawled_though_the_feed_has_gone_on(tmp_path: Path) -> None:
    shops = Shops(snaps=SNAPS[:6])
    with open_shops(shops) as url:
        assert crawl("musinsa", url, tmp_path, *BLOCKS, "--max-posts", "2")["kept"] == 2
        shops.snaps = [SNAPS[0], *SNAPS[1:6], *SNAPS[6:8]]
        assert crawl("musinsa", url, tmp_path, *BLOCKS)["kept"] == 8
        crawl("musinsa", url, tmp_path / "whole", *BLOCKS)
    assert content(tmp_path, "musinsa") == content(tmp_path / "whole", "musinsa")


def test_musinsa__posts_outside_the_asked_blocks_are_crawled_later(tmp_path: Path) -> None:
    newest = [FIRST_SNAP + 10**15 + n for n in range(FEED_PAGE)]  # the feed's first page is all of the newer block
    with open_shops(Shops(snaps=[*SNAPS[:2], *newest])) as url:
        assert crawl("musinsa", url, tmp_path, *BLOCKS, "--blocks", "1401")["kept"] == 3
        assert crawl("musinsa", url, tmp_path, *BLOCKS)["kept"] == 5
    assert not list((tmp_path / "staging").rglob("feed.json"))


def test_musinsa__snaps_of_several_blocks_and_one_that_vanished(tmp_path: Path) -> None:
    snaps = [FIRST_SNAP + n * 10**15 for n in range(3)]
    shops = Shops(snaps=list(snaps))
    with open_shops(shops) as url:
        stats = crawl("musinsa", url, tmp_path, *BLOCKS)
        assert sorted(stats["blocks"]) == ["musinsa/001400", "musinsa/001401", "musinsa/001402"]
        del shops.snaps[1]
        crawl("musinsa", url, tmp_path, *BLOCKS, "--refresh")
    assert ledger(tmp_path, "musinsa") == {snaps[0]: "done", snaps[1]: "gone:http_404", snaps[2]: "done"}


def test_29cm_catalog__pages_until_one_is_empty_without_a_browser(tmp_path: Path) -> None:
    shops = Shops(products={"272103100": [1, 2, 3], "270100100": [4], "274100100": [5]})
    with open_shops(shops) as url:
        stats = crawl("29cm-catalog", url, tmp_path, "--browser", "/none")
    assert stats["kept"] == 5
    rows = ShardedTable(tmp_path / "catalog").table().to_pylist()
    assert {row["product_id"]: row["category"] for row in rows} == {
        "1": "top", "2": "top", "3": "top", "4": "shoes", "5": "shoes"
    }  # fmt: skip
    assert {row["brand"] for row in rows} == {"노박"}


def test_29cm_catalog__tried_with_some_categories_and_few_products(tmp_path: Path) -> None:
    shops = Shops(products={"272103100": [1], "270100100": [2, 3, 4, 5], "274100100": [6, 7]})
    with open_shops(shops) as url:
        crawl("29cm-catalog", url, tmp_path, *PLAIN, "--categories", "shoes,bag", "--max-products", "3")
        assert "some of bag" in crawl("29cm-catalog", url, tmp_path, "--categories", "boots", code=2)["error"]
    assert catalog(tmp_path).keys() == {"2", "3", "4", "6", "7"}


def test_29cm_catalog__listing_that_turns_empty_keeps_what_was_listed(tmp_path: Path) -> None:
    shops = Shops(products={"272103100": [1, 2, 3], "270100100": [4], "274100100": [5]})
    options = ("--browser", "/none", "--refresh")
    with open_shops(shops) as url:
        assert crawl("29cm-catalog", url, tmp_path, *options)["kept"] == 5
        before = ShardedTable(tmp_path / "catalog").fingerprint
        shops.products = {"270100100": [4, 9]}  # of the shoes, one shop category is left
        answer = crawl("29cm-catalog", url, tmp_path, *options, code=1)
        assert answer["error"].count("no product, where there were some before") == 2
        assert ShardedTable(tmp_path / "catalog").fingerprint == before
        night = json.loads((tmp_path / "catalog" / "29cm" / "yields.jsonl").read_text().splitlines()[-1])
        assert (night["pages"], night["found"]["products"]) == (3, 1)  # what drift compares
        shops.products = {"272103100": [6], "270100100": [4], "274100100": [5]}
        assert crawl("29cm-catalog", url, tmp_path, *options)["kept"] == 3
    rows = ShardedTable(tmp_path / "catalog").table().to_pylist()
    assert {row["product_id"]: row["category"] for row in rows} == {"6": "top", "4": "shoes", "5": "shoes"}


def test_29cm_catalog__listing_that_loses_more_than_half_keeps_what_was_listed(tmp_path: Path) -> None:
    shops = Shops(products={BOOTS: list(range(1, 21))})
    with open_shops(shops) as url:
        crawl("29cm-catalog", url, tmp_path, *PLAIN)
        shops.products[BOOTS] = list(range(1, 10))
        answer = crawl("29cm-catalog", url, tmp_path, *PLAIN, "--refresh", code=1)
        assert "9 products, where there were 20 before" in answer["error"]
        assert len(catalog(tmp_path)) == 20
        shops.products[BOOTS] += [10]
        crawl("29cm-catalog", url, tmp_path, *PLAIN, "--refresh")
        assert len(catalog(tmp_path)) == 10


def test_29cm_catalog__product_that_two_categories_list_is_there_once(tmp_path: Path) -> None:
    shops = Shops(products={BOOTS: [1, 2], "272103100": [2, 3]})
    with open_shops(shops) as url:
        assert crawl("29cm-catalog", url, tmp_path, *PLAIN)["kept"] == 3
    rows = ShardedTable(tmp_path / "catalog").table(["product_id", "category"]).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == [("1", "shoes"), ("2", "shoes"), ("3", "top")]


PLAIN = ("--browser", "/none", "--retries", "0")
BOOTS = "270100100"


def catalog(out: Path) -> dict[str, tuple[str, str | None]]:
    """Product → brand, and fault of its picture."""
    rows = ShardedTable(out / "catalog").table(["product_id", "brand", "error", "bytes"]).to_pylist()
    assert all((row["bytes"] is None) == (row["error"] is not None) for row in rows)
    return {row["product_id"]: (row["brand"], row["error"]) for row in rows}


def test_29cm_catalog__first_crawl_waits_for_a_picture_host_that_is_down(tmp_path: Path) -> None:
    shops = Shops(products={BOOTS: [1, 2, 3, 4, 5]}, broken=range(2, 6))
    with open_shops(shops) as url:
        answer = crawl("29cm-catalog", url, tmp_path, *PLAIN, code=1)
        assert "29cm/shoes: 4 of 5 pictures failed" in answer["error"]
        assert "could not read 29cm/shoes; run again to resume" in answer["error"]
        assert catalog(tmp_path) == {}
        shops.broken, before = (), shops.hits["picture"]
        assert crawl("29cm-catalog", url, tmp_path, *PLAIN)["kept"] == 5
        assert shops.hits["picture"] - before == 4  # the one that came is staged


def test_29cm_catalog__refresh_with_a_picture_host_that_is_down_takes_nothing_away(tmp_path: Path) -> None:
    shops = Shops(products={BOOTS: [1, 2, 3, 4, 5]})
    with open_shops(shops) as url:
        crawl("29cm-catalog", url, tmp_path, *PLAIN)
        before = ShardedTable(tmp_path / "catalog").fingerprint
        for moved in ("/images/new", "http://elsewhere.test/images"):  # the crawl may not ask the second one
            shops.broken, shops.pictures = range(1, 6), moved
            crawl("29cm-catalog", url, tmp_path, *PLAIN, "--refresh", code=1)
    assert ShardedTable(tmp_path / "catalog").fingerprint == before


def test_29cm_catalog__refresh_asks_for_no_picture_that_is_there(tmp_path: Path) -> None:
    shops = Shops(products={BOOTS: [1, 2, 3, 4, 5]})
    with open_shops(shops) as url:
        crawl("29cm-catalog", url, tmp_path, *PLAIN)
        pictures = ShardedTable(tmp_path / "catalog").table(["bytes", "sha256"])
        shops.products[BOOTS], shops.brand, before = [2, 3, 4, 5, 6], "다른", shops.hits["picture"]
        assert crawl("29cm-catalog", url, tmp_path, *PLAIN, "--refresh")["kept"] == 5
        assert shops.hits["picture"] - before == 1
    assert catalog(tmp_path) == dict.fromkeys("23456", ("다른", None))
    after = ShardedTable(tmp_path / "catalog").table(["bytes", "sha256"])
    assert after.to_pylist()[:4] == pictures.to_pylist()[1:]


def test_29cm_catalog__refresh_keeps_the_picture_that_failed_in_passing(tmp_path: Path) -> None:
    shops = Shops(products={BOOTS: [1, 2, 3, 4, 5]})
    with open_shops(shops) as url:
        crawl("29cm-catalog", url, tmp_path, *PLAIN)
        shops.brand, shops.broken, shops.pictures = "다른", {3}, "/images/new"
        crawl("29cm-catalog", url, tmp_path, *PLAIN, "--refresh")
        assert catalog(tmp_path) == dict.fromkeys("12345", ("다른", None))
        shops.products[BOOTS] += [6]
        shops.broken = {6}
        crawl("29cm-catalog", url, tmp_path, *PLAIN, "--refresh")  # one lost picture holds no category back
    assert catalog(tmp_path) == {**dict.fromkeys("12345", ("다른", None)), "6": ("다른", "http_error")}


def test_29cm_catalog__picture_host_that_refuses_is_not_hammered_and_ends_no_crawl_for_good(tmp_path: Path) -> None:
    shops = Shops(products={BOOTS: list(range(1, 201))}, broken=range(1, 41))
    with open_shops(shops) as url:
        for asked in (range(20, 25), range(40, 50)):  # the second run asks again for what failed, and for as many more
            before = shops.hits["picture"]
            answer = crawl("29cm-catalog", url, tmp_path, *PLAIN, code=1)
            assert "20 pictures in a row failed, the last with http_error" in answer["error"]
            assert shops.hits["picture"] - before in asked
        assert crawl("29cm-catalog", url, tmp_path, *PLAIN)["kept"] == 160  # a fifth is lost: no outage


@pytest.mark.parametrize(
    ("pictures", "lost", "failed"), [(1, 1, False), (4, 1, False), (4, 2, True), (50, 10, False), (50, 11, True)]
)
def test_check_lost__one_picture_alone_holds_no_category_back(pictures: int, lost: int, failed: bool) -> None:
    category: Any = SimpleNamespace(name="29cm/shoes", pictures=pictures, lost=lost, failed=False)
    _check_lost(category)
    assert category.failed is failed
