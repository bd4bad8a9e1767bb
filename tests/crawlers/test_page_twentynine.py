"""29CM's product search: JSON in, products out."""

import json
from typing import Any

import pytest

from crawlers.errors import PageError
from crawlers.pages.twentynine import TwentyNinePages
from tests.crawlers.fixtures import read

LISTING = read("29cm_listing.json")
PAGES = TwentyNinePages()


def test_listing_url__medium_category_names_its_large_one() -> None:
    url = PAGES.listing_url(272103100, 2)
    assert url.endswith("?categoryLargeCode=272100100&categoryMediumCode=272103100&count=50&page=2")
    assert PAGES.listing_url(270100100, 1).endswith("?categoryLargeCode=270100100&count=50&page=1")
    assert "search-api.29cm.co.kr" in PAGES.hosts


def test_parse_listing__reads_products() -> None:
    items = PAGES.parse_listing(LISTING)
    assert [item.product_id for item in items] == ["2410001", "2410002"]
    first = items[0]
    assert (first.name, first.brand, first.price) == ("Wool Blend Coat", "노박", 329_000)
    assert first.image_url == "https://img.29cm.co.kr/item/202409/11ef0001.jpg"
    assert first.product_url == "https://product.29cm.co.kr/catalog/2410001"
    assert items[1].price == 45_000


def test_parse_listing__page_beyond_the_last_is_empty() -> None:
    assert PAGES.parse_listing('{"data": {"products": []}}') == []


@pytest.mark.parametrize(
    "answer", ["", "<html>", "[]", '{"data": {}}', '{"data": {"products": 3}}', '{"data": {"products": [{"x": 1}]}}']
)
def test_parse_listing__other_shape_is_an_error(answer: str) -> None:
    with pytest.raises(PageError, match="29cm listing"):
        PAGES.parse_listing(answer)


@pytest.mark.parametrize("wrong", [None, True, "x", [], {}, -1, 10**30])
def test_parse_listing__wrong_types_are_missing_fields(wrong: Any) -> None:
    product = {"itemNo": 5, "imageUrl": "/a.jpg", "itemName": wrong, "saleInfoV2": wrong, "frontBrandNameKor": wrong}
    (item,) = PAGES.parse_listing(json.dumps({"data": {"products": [product]}}))
    assert (item.product_id, item.price) == ("5", None)
