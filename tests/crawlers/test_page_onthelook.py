"""OnTheLook's page object on rendered pages."""

from pathlib import Path

import pytest

from crawlers.errors import PageError, PageGoneError
from crawlers.pages.base import ShopItem, distinct
from crawlers.pages.onthelook import OnTheLookPages

FIXTURES = Path(__file__).parent / "fixtures"
POST = (FIXTURES / "onthelook_post.html").read_text()
PAGES = OnTheLookPages("http://127.0.0.1:8701")


def test_parse_post__reads_photos_and_products() -> None:
    page = PAGES.parse_post(POST, 1)
    assert len(page.images) == 3
    assert page.images[0] == "http://127.0.0.1:8701/images/posts/20240101093200000000000000100.jpg"
    item = page.products[0]
    assert (item.product_id, item.name, item.brand, item.price) == ("p331763", "Grey Knit 407", "Hanbit", 24_000)
    assert item.product_url == "http://127.0.0.1:8701/product/p331763"
    assert page.ai_made
    assert not PAGES.parse_post(POST.replace("AI로 제작", "직접"), 1).ai_made


def test_parse_post__only_stable_names_are_needed() -> None:
    bare = (
        '<div id="root"><div><img id="post-image" src="/a.jpg?w=1"></div>'
        '<div class="x product-item"><a href="/product/9/"><img src="/b.png?w=2"></a></div></div>'
    )
    page = PAGES.parse_post(bare, 1)
    assert page.images == ("http://127.0.0.1:8701/a.jpg",)
    assert [(item.product_id, item.image_url, item.name) for item in page.products] == [
        ("9", "http://127.0.0.1:8701/b.png", None)
    ]


def test_parse_post__product_that_a_carousel_repeats_is_one() -> None:
    page = PAGES.parse_post(POST, 1)
    start = POST.index("<section")
    twice = POST[:start] + POST[start : POST.index("</section>")] + POST[start:]
    assert PAGES.parse_post(twice, 1) == page


def test_distinct__products_without_an_id_by_their_picture() -> None:
    def item(product_id: str | None = None, image_url: str | None = None) -> ShopItem:
        return ShopItem(product_id, None, None, None, None, image_url)

    a, b, known, nameless = item(image_url="http://h/a"), item(image_url="http://h/b"), item("1"), item()
    assert distinct([a, b, a, known, nameless, known, nameless]) == (a, b, known, nameless, nameless)


def test_parse_post__says_gone() -> None:
    with pytest.raises(PageGoneError):
        PAGES.parse_post((FIXTURES / "onthelook_missing.html").read_text(), 9999)


@pytest.mark.parametrize("html", ["", '<div id="root"></div>', "plain"])
def test_parse_post__unfilled_page_is_an_error_not_gone(html: str) -> None:
    with pytest.raises(PageError) as caught:
        PAGES.parse_post(html, 1)
    assert not isinstance(caught.value, PageGoneError)
