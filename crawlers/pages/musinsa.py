"""Musinsa snaps (musinsa.com): ids of 19 digits that a feed names; class names are hashed, so attributes are read.

Markup as public code of 2025 and 2026 shows it: the feed's `__NEXT_DATA__` lists snaps, a snap's page carries its
photos with `?w=` and each tagged product as an element with `data-item-id`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from parsel import Selector

from crawlers.errors import PageError, PageGoneError
from crawlers.pages.base import (
    AI_MARK,
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

_HOME: Final = "https://www.musinsa.com"
_IMAGE_HOSTS: Final = ("image.msscdn.net",)
_POST: Final = re.compile(r"/snap/(\d{1,19})")
_GOODS: Final = re.compile(r"/goods_img/\d{8}/(\d{1,15})/")
_GONE_TEXT: Final = "존재하지 않는"
_MAX_ID: Final = 2**63 - 1  # tables keep ids as signed 64-bit numbers


class MusinsaPages(Shop):
    """Addresses and markup of Musinsa's snaps."""

    site: str = "musinsa"
    post_rendering: Rendering = "fallback"
    block_size: int = 10**15  # ids carry their time: a block holds the snaps of a few days
    home: str = _HOME
    image_hosts: Sequence[str] = _IMAGE_HOSTS
    post_path: re.Pattern[str] = _POST
    ready_selector: str = "[data-item-id], .not-found"

    def post_url(self, post_id: int) -> str:
        """Address of a snap."""
        return f"{self.base_url}/snap/{post_id}"

    def feed_url(self, page: int) -> str:
        """Address of a page of the feed of newest snaps."""
        return f"{self.base_url}/snap/main/recommend?sort=NEWEST&page={page}"

    def parse_feed(self, html: str) -> Sequence[int]:
        """Ids of the snaps in the feed's data, in its order.

        Raises:
            PageError: the page carries no such data.
        """
        text = Selector(html or " ").xpath("//script[@id='__NEXT_DATA__']/text()").get()
        try:
            data = json.loads(text or "")
        except (ValueError, RecursionError) as error:
            raise PageError("musinsa feed: no __NEXT_DATA__ that is JSON") from error
        return list(dict.fromkeys(_snaps(data)))

    def parse_post(self, html: str, post_id: int) -> PostPage:
        """Read a snap.

        Raises:
            PageGoneError: the page says that there is no such snap.
            PageError: it holds neither a photo nor a product.
        """
        selector = Selector(html or " ")
        photos = [address for address in selector.css("img::attr(src)").getall() if _is_photo(address)]
        items = selector.css("[data-item-id]")
        if not photos and not items:
            if selector.css(".not-found") or _GONE_TEXT in "".join(selector.css("body *::text").getall()):
                raise PageGoneError(f"musinsa snap {post_id}: the page says that it does not exist")
            raise PageError(f"musinsa snap {post_id}: neither a photo nor [data-item-id] in the page")
        labels = selector.css("span::text, em::text").getall()
        return PostPage(
            images=unique([original(self.base_url, address) for address in photos]),
            products=distinct([self._item(item) for item in items]),
            posted_at=moment(selector.css("time::attr(datetime)").get()),
            ai_made=any(AI_MARK in label for label in labels),
        )

    def _item(self, item: Any) -> ShopItem:
        image = item.css("img")
        address = image.attrib.get("data-src") or image.attrib.get("src")
        match = _GOODS.search(address or "")
        number = match[1] if match else None
        texts = [text for text in map(clean, item.css("*::text").getall()) if text]
        amounts = [text for text in texts if text.endswith("원")]
        words = [text for text in texts if text not in amounts]
        return ShopItem(
            product_id=number,
            name=clean(image.attrib.get("alt")) or (words[-1] if words else None),
            brand=clean(item.attrib.get("data-item-brand")) or (words[0] if words else None),
            price=price(amounts[0]) if amounts else None,
            product_url=f"{self.base_url}/products/{number}" if number else None,
            image_url=original(self.base_url, address),
        )


def _snaps(data: Any) -> Iterator[int]:
    queue = [data]
    for value in queue:
        if isinstance(value, dict):
            number = str(value.get("id"))
            if value.get("type") == "SNAP" and re.fullmatch(r"[0-9]{1,19}", number) and 0 < int(number) <= _MAX_ID:
                yield int(number)
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)


def _is_photo(address: str) -> bool:
    """Photos of a snap are asked for by width, product pictures by product."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return "w" in parse_qs(parts.query) and not _GOODS.search(parts.path)
