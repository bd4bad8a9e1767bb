"""Drift: a field that falls is named; noise, growth and a first crawl are not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crawlers.drift import compare, listing_fields, post_fields, record
from crawlers.pages.base import PostPage, ShopItem

HISTORY = [{"pages": 500, "found": {"images": 495, "price": 480, "brand": 50}, "drifted": []}]


def fields(yields: dict[str, int], pages: int = 200, history: list[Any] = HISTORY) -> list[str]:
    return [drift.field for drift in compare(yields, pages, history)]


def test_compare__field_that_vanished_is_named() -> None:
    assert fields({"images": 198, "brand": 20}) == ["price"]


@pytest.mark.parametrize(
    "yields", [{"images": 198, "price": 192, "brand": 20}, {"images": 200, "price": 200, "brand": 200}]
)
def test_compare__same_or_more_is_no_drift(yields: dict[str, int]) -> None:
    assert fields(yields) == []


def test_compare__slow_change_is_no_drift() -> None:
    assert fields({"images": 190, "price": 160, "brand": 18}) == []


def test_compare__too_few_pages_mean_nothing() -> None:
    assert fields({}, pages=4) == []
    assert fields({}, history=[{**HISTORY[0], "pages": 29}]) == []
    assert fields({}, history=[]) == []


def test_compare__few_pages_tell_when_all_of_them_lack_a_field() -> None:
    assert fields({}, pages=6) == ["images", "price"]  # a tenth of the pages named a brand: six without say nothing
    assert fields({"images": 5, "price": 4, "brand": 0}, pages=6) == []
    always = [{"pages": 130, "found": {"images": 130}, "drifted": []}]
    assert fields({"images": 4}, 6, always) == []
    assert fields({"images": 0}, 6, always) == ["images"]


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_compare__chance_raises_no_alarm_on_few_pages(share: float) -> None:
    random = np.random.default_rng(0)
    before = [{"pages": 300, "found": {"brand": round(300 * share)}, "drifted": []}]
    assert not any(fields({"brand": int(random.binomial(6, share))}, 6, before) for _ in range(2000))


def test_compare__chance_raises_no_alarm() -> None:
    random = np.random.default_rng(0)
    before = [{"pages": 300, "found": {"brand": int(random.binomial(300, 0.3))}, "drifted": []} for _ in range(20)]
    alarms = sum(bool(fields({"brand": int(random.binomial(40, 0.3))}, 40, before)) for _ in range(2000))
    assert alarms <= 2


def test_record__fault_does_not_become_the_norm_and_stays_until_mended(tmp_path: Path) -> None:
    whole, broken = {"images": 100, "price": 90}, {"images": 100}
    assert record(tmp_path, whole, 100) == []
    for _ in range(3):
        assert record(tmp_path, broken, 100) == ["price on 0% of pages, before 90%"]
    assert record(tmp_path, {}, 0) == ["price on 0% of pages, before 90%"]
    assert record(tmp_path, whole, 100) == []
    assert record(tmp_path, {}, 0) == []
    assert len([json.loads(line) for line in (tmp_path / "yields.jsonl").read_text().splitlines()]) == 5


def test_record__line_that_was_never_finished(tmp_path: Path) -> None:
    for _ in range(2):
        record(tmp_path, {"images": 100, "price": 90}, 100)
    path = tmp_path / "yields.jsonl"
    path.write_text(path.read_text()[:-20])
    for pages in (100, 0):
        assert record(tmp_path, {"images": pages}, pages) == ["price on 0% of pages, before 90%"]


def test_post_fields__of_products_any_counts() -> None:
    full = ShopItem("1", "Cap", "Novak", 9000, "https://a/1", "https://a/1.png")
    bare = ShopItem("2", None, None, None, None, None)
    assert post_fields(PostPage(("a",), (bare, full), None, False)) == {
        "images", "products", "product_id", "name", "brand", "price", "product_url", "image_url"
    }  # fmt: skip
    assert post_fields(PostPage((), (), None, False)) == set()
    assert listing_fields([bare]) == {"products", "product_id"}
