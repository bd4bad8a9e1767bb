"""Musinsa's page object on a snap's page and on the feed."""

from datetime import UTC, datetime

import pytest

from crawlers.errors import PageError, PageGoneError
from crawlers.pages.base import FeedSite
from crawlers.pages.kream import KreamPages
from crawlers.pages.musinsa import MusinsaPages
from tests.crawlers.fixtures import read

POST, FEED = read("musinsa_1400000000000000003.html"), read("musinsa_feed.html")
PAGES = MusinsaPages()
IMAGES = "https://image.msscdn.net/images"


def test_parse_post__reads_photos_and_products_and_no_avatar() -> None:
    page = PAGES.parse_post(POST, 1)
    assert page.images == (f"{IMAGES}/style/detail/2026/0302/a1.jpg", f"{IMAGES}/style/detail/2026/0302/a2.jpg")
    assert [(p.product_id, p.name, p.brand, p.price) for p in page.products] == [
        ("4100123", "Wool Jumper", "Hanbit", 89_000),
        ("4100777", "Derby Shoes", "Orrin", 159_000),
    ]
    assert page.products[0].image_url == f"{IMAGES}/goods_img/20260110/4100123/4100123_500.jpg"
    assert page.products[0].product_url == "https://www.musinsa.com/products/4100123"
    assert page.posted_at == datetime(2026, 3, 2, 12, 15, tzinfo=UTC)


def test_parse_post__ai_mark_is_a_label_not_what_the_poster_wrote() -> None:
    assert not PAGES.parse_post(POST.replace("오늘의 코디", "AI로 제작한 이미지"), 1).ai_made
    assert PAGES.parse_post(POST.replace("USER_SNAP", "AI로 제작한 이미지"), 1).ai_made


def test_parse_post__gone_and_changed() -> None:
    with pytest.raises(PageGoneError):
        PAGES.parse_post("<body><p>존재하지 않는 스냅입니다</p></body>", 1)
    with pytest.raises(PageError, match="neither a photo nor"):
        PAGES.parse_post("<body><div id='__next'></div></body>", 1)


def test_parse_feed__ids_of_snaps_once_each_in_order() -> None:
    assert PAGES.parse_feed(FEED) == [1400000000000000003, 1400000000000000002]
    with pytest.raises(PageError, match="__NEXT_DATA__"):
        PAGES.parse_feed("<body>later</body>")


def test_post_id__of_this_site_only() -> None:
    assert PAGES.post_id("https://www.musinsa.com/snap/1400000000000000003?x=1") == 1400000000000000003
    assert PAGES.post_id("https://evil.example/snap/1") is None
    assert PAGES.post_id("https://www.musinsa.com/products/1") is None
    assert PAGES.post_id("http://[") is None


def test_feed_site__is_told_by_its_feed() -> None:
    assert isinstance(PAGES, FeedSite)
    assert not isinstance(KreamPages(), FeedSite)
