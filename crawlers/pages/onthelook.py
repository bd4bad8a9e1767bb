"""OnTheLook (onthelook.co.kr): JavaScript fills the page; only `#post-image` and `.product-item` are stable."""

import re
from collections.abc import Sequence
from typing import Any, Final

from parsel import Selector

from crawlers.errors import PageError, PageGoneError
from crawlers.pages.base import (
    AI_MARK,
    MAX_PICTURES,
    PostPage,
    Rendering,
    Shop,
    ShopItem,
    clean,
    distinct,
    moment,
    original,
    price,
    unique,
)

_HOME: Final = "https://onthelook.co.kr"
_IMAGE_HOSTS: Final = ("images.onthelook.co.kr",)
_POST: Final = re.compile(r"/post/(\d{1,18})")
_GONE_TEXT: Final = "존재하지 않는"


class OnTheLookPages(Shop):
    """Addresses and markup of OnTheLook."""

    site: str = "onthelook"
    post_rendering: Rendering = "always"
    block_size: int = 10_000
    home: str = _HOME
    image_hosts: Sequence[str] = _IMAGE_HOSTS
    post_path: re.Pattern[str] = _POST
    ready_selector: str = "#post-image, .product-item, .not-found"

    def post_url(self, post_id: int) -> str:
        """Address of a post."""
        return f"{self.base_url}/post/{post_id}"

    def parse_post(self, html: str, post_id: int) -> PostPage:
        """Read a rendered post.

        Raises:
            PageGoneError: the page says that there is no such post.
            PageError: the page was not filled.
        """
        selector = Selector(html or " ")
        first, items = selector.css("#post-image"), selector.css(".product-item")
        if not first and not items:
            if selector.css(".not-found") or _GONE_TEXT in "".join(selector.css("#root *::text").getall()):
                raise PageGoneError(f"onthelook post {post_id}: the page says that it does not exist")
            raise PageError(f"onthelook post {post_id}: neither #post-image nor .product-item in the rendered page")
        photos = first.xpath("../img/@src").getall()  # further photos of the post stand beside the first
        outside = selector.xpath("//span/text()[not(ancestor::*[contains(@class, 'product-item')])]").getall()
        return PostPage(
            images=unique([original(self.base_url, address) for address in photos]),
            products=distinct([self._item(item) for item in items[:MAX_PICTURES]]),
            posted_at=moment(selector.css("time::attr(datetime)").get()),
            ai_made=any(AI_MARK in text for text in outside),
        )

    def _item(self, item: Any) -> ShopItem:
        address = item.xpath("(descendant-or-self::a | ancestor::a)/@href").get()
        target, image = original(self.base_url, address), item.css("img")
        texts = [text for text in map(clean, item.css("p::text").getall()) if text]
        words = [text for text in texts if not text.endswith("원")]
        return ShopItem(
            product_id=target.rstrip("/").rpartition("/")[2] if target else None,
            name=clean(image.attrib.get("alt")) or (words[-1] if words else None),
            brand=words[0] if words else None,
            price=price(next((text for text in texts if text.endswith("원")), None)),
            product_url=target,
            image_url=original(self.base_url, image.attrib.get("src")),
        )
