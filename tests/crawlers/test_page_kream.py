"""KREAM's page object on saved pages, on pages of an older markup, and on mutated ones."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from crawlers.errors import PageError
from crawlers.pages.base import clean, link, moment, original, price
from crawlers.pages.kream import KreamPages

FIXTURES = Path(__file__).parent / "fixtures"
POST = (FIXTURES / "kream_post.html").read_text()
PAGES = KreamPages("http://127.0.0.1:8700")


def test_parse_post__from_nuxt_data() -> None:
    page = PAGES.parse_post(POST, 9)
    assert len(page.images) == 3
    assert all(re.fullmatch(r"http://127\.0\.0\.1:8700/images/.*/p_[0-9a-f]{32}\.jpeg", url) for url in page.images)
    assert page.posted_at == datetime(2024, 1, 2, 6, 1, tzinfo=UTC)
    assert not page.ai_made
    first = page.products[0]
    assert first.product_id is not None
    assert first.product_id.isdigit()
    assert first.product_url == f"http://127.0.0.1:8700/products/{first.product_id}"
    assert first.image_url is not None
    assert "?" not in first.image_url
    assert all((item.name, item.brand, item.price) for item in page.products)


def without_data(html: str) -> str:
    return html.replace('id="__NUXT_DATA__"', 'id="other"')


def test_parse_post__dom_gives_the_same() -> None:
    by_data, by_dom = PAGES.parse_post(POST, 9), PAGES.parse_post(without_data(POST), 9)
    assert replace(by_dom, posted_at=by_data.posted_at) == by_data
    assert by_dom.posted_at == datetime(2024, 1, 1, 15, tzinfo=UTC)  # the page shows a day only, in Seoul


def test_parse_post__falls_back_field_by_field() -> None:
    renamed = POST.replace('"product_tags"', '"tags_v2"')
    assert PAGES.parse_post(renamed, 9) == PAGES.parse_post(POST, 9)


def test_parse_post__markup_of_2023() -> None:
    page = KreamPages().parse_post((FIXTURES / "kream_post_2023.html").read_text(), 1001)
    base = "https://kream-phinf.pstatic.net/MjAyMzAxMTdfNTMg/MTY3Mzk.x.JPEG"
    assert page.images == (f"{base}/p_aaaa.jpeg", f"{base}/p_bbbb.jpeg")  # no clone, no video
    assert [(p.product_id, p.name, p.price) for p in page.products] == [
        ("64893", "Jordan 1 Retro Low", 219_000),
        ("77", "No price tee", None),
    ]
    assert page.products[0].product_url == "https://kream.co.kr/products/64893"
    assert page.posted_at == datetime(2023, 1, 16, 15, tzinfo=UTC)
    assert not page.ai_made  # only the poster's own text says so


def test_parse_post__ai_mark_in_data_or_dom() -> None:
    marked = POST.replace(
        '<p class="upload_time">', '<span class="ai_label">AI로 제작한 이미지</span><p class="upload_time">'
    )
    assert marked != POST
    assert PAGES.parse_post(marked, 9).ai_made
    assert PAGES.parse_post(without_data(marked), 9).ai_made


def with_data(*flat: object) -> str:
    return f'<script id="__NUXT_DATA__">{json.dumps(flat)}</script>'


@pytest.mark.parametrize(("field", "marked"), [("badge", True), ("content", False), ("comments", False)])
def test_parse_post__ai_mark_is_the_sites_not_a_persons(field: str, marked: bool) -> None:
    page = with_data({"id": 1, "images": 2, field: 3}, 9, [], "AI로 제작한 이미지")
    assert PAGES.parse_post(page, 9).ai_made is marked


def test_parse_post__poster_of_a_video_is_no_photo() -> None:
    video, image = ({"type": 4, "url": 5}, "video", "/poster.jpg"), ({"type": 7, "url": 8}, "image", "/p.jpg")
    page = with_data({"id": 1, "images": 2}, 9, [3, 6], *video, *image)
    assert PAGES.parse_post(page, 9).images == ("http://127.0.0.1:8700/p.jpg",)


def test_parse_post__label_is_not_written_out() -> None:
    shared = [[index + 1, index + 1] for index in range(4, 50)]  # 2**46 paths
    page = with_data({"id": 1, "images": 2, "badge": 3}, 9, [], {"text": 4}, *shared, 5)
    assert not PAGES.parse_post(page, 9).ai_made


def test_parse_post__shared_values_do_not_multiply() -> None:
    many = 10**5  # photos that are one, with as many tags that are one
    product = {"product": 6}, {"id": 1, "image_urls": 7}, [8], "/p.jpg"
    page = with_data({"id": 1, "images": 2}, 9, [3] * many, {"url": 8, "product_tags": 4}, [5] * many, *product)
    post = PAGES.parse_post(page, 9)
    assert (len(post.images), len(post.products)) == (1, 1)


def test_parse_post__other_post_in_the_data_is_not_taken() -> None:
    only_data = re.sub(r'<div class="social_post_detail".*</div>\n<img', "<img", POST, flags=re.DOTALL)
    assert PAGES.parse_post(only_data, 9).products
    with pytest.raises(PageError, match="kream post 10"):
        PAGES.parse_post(only_data, 10)


@pytest.mark.parametrize(
    "html", ["", "<html></html>", "not html at all", "\x00\xff", "<script id='__NUXT_DATA__'>[]</script>"]
)
def test_parse_post__no_post_is_an_error(html: str) -> None:
    with pytest.raises(PageError):
        PAGES.parse_post(html, 9)


def test_parse_listing__2026_and_2023() -> None:
    now = PAGES.parse_listing((FIXTURES / "kream_listing.html").read_text())
    assert len(now) == len({item.product_id for item in now}) > 5
    assert all(item.name and item.brand and item.price and item.image_url for item in now)
    old = KreamPages().parse_listing((FIXTURES / "kream_listing_2023.html").read_text())
    assert [(item.product_id, item.brand, item.price) for item in old] == [("12831", "Nike", 139_000)]


def test_parse_listing__empty_is_fine_but_unreadable_cards_are_not() -> None:
    assert PAGES.parse_listing("<html></html>") == []
    with pytest.raises(PageError, match="none with a product link"):
        PAGES.parse_listing('<div class="product_card"><a href="/goods/1">x</a></div>')


def test_hosts__real_site_has_its_image_host_and_a_mirror_has_not() -> None:
    assert KreamPages().hosts == {"kream.co.kr", "kream-phinf.pstatic.net"}
    assert PAGES.hosts == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/a.jpg?type=l#x", "http://h/a.jpg"),
        ("//cdn/a.jpg?w=1", "http://cdn/a.jpg"),
        ("https://cdn:81/a.png", "https://cdn:81/a.png"),
        ("data:image/png;base64,AA", None),
        ("javascript:alert(1)", None),
        ("/clip.MP4?x", None),
        ("http://[", None),
        ("http://cdn:abc/a.jpg", None),
        ("http://cdn:99999/a.jpg", None),
        ("http://cdn/\ud83d.jpg", None),
        ("", None),
        (None, None),
    ],
)
def test_original__strips_query_and_refuses_what_cannot_be_fetched(address: str | None, expected: str | None) -> None:
    assert original("http://h/page", address) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a \n b ", "a b"),
        ("coat \ud83d", "coat \ufffd"),
        ("\ude00 coat", "\ufffd coat"),
        ("\ud83d\ude00", "😀"),
        (" ", None),
        (5, None),
    ],
)
def test_clean__is_text_that_a_table_can_hold(text: object, expected: str | None) -> None:
    assert clean(text) == expected


def test_link__keeps_the_query_that_names_a_product() -> None:
    assert link("https://shop.example/list", "/product.php?id=12#top") == "https://shop.example/product.php?id=12"
    assert link("https://shop.example/", "javascript:void(0)") is None
    assert link("https://shop.example/", "https://shop.example:x/") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("129,000원", 129_000),
        ("₩ 5,000", 5_000),
        (7, 7),
        (True, None),
        (-1, None),
        ("-", None),
        (None, None),
        ("9" * 50, None),
        ("129,00 €", 129),
        ("€1.299,00", 1299),
        ("1 299,00\u00a0€", 1299),
        ("1.299.000", 1_299_000),
        ("CHF 1'299.50", 1300),
        ("0.49", 0),
        (49.99, 50),
        (129_000.0, 129_000),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_price__reads_digits(value: object, expected: int | None) -> None:
    assert price(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-06T07:08:09+09:00", datetime(2024, 5, 5, 22, 8, 9, tzinfo=UTC)),
        ("2024-05-06T07:08:09", datetime(2024, 5, 5, 22, 8, 9, tzinfo=UTC)),
        ("2024.05.06", datetime(2024, 5, 5, 15, tzinfo=UTC)),
        ("2024.13.06", None),
        ("0001-01-01T00:00:00+09:00", None),
        ("3일 전", None),
        (5, None),
    ],
)
def test_moment__reads_iso_and_korean_dates(text: object, expected: datetime | None) -> None:
    assert moment(text) == expected


def test_moment__of_a_site_that_is_not_in_korea() -> None:
    zone = ZoneInfo("Europe/Paris")
    assert moment("2026-11-04T10:00:00", zone) == datetime(2026, 11, 4, 9, tzinfo=UTC)
    assert moment("2026.07.04", zone) == datetime(2026, 7, 3, 22, tzinfo=UTC)
    assert moment("2026-11-04T10:00:00+00:00", zone) == datetime(2026, 11, 4, 10, tzinfo=UTC)
