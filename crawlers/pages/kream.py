"""KREAM (kream.co.kr): posts carry their data in `__NUXT_DATA__`, so plain HTTP is enough; listings grow on scrolling.

Markup as saved pages of 2023 to 2026 show it. Each field is taken from the page's data first, from its DOM otherwise.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from parsel import Selector

from crawlers.errors import NuxtDataError, PageError
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
from crawlers.pages.nuxt import decode, find

_HOME: Final = "https://kream.co.kr"
_IMAGE_HOSTS: Final = ("kream-phinf.pstatic.net",)
_PRODUCT: Final = re.compile(r"/products/(\d{1,15})(?:[/?#]|$)")
_POST: Final = re.compile(r"/social/posts/(\d{1,18})")
_BY_LABEL: Final = {
    "top": (27, 26, 75, 28, 23, 74, 24, 76, 78),
    "outer": (63,),
    "bottom": (65,),
    "shoes": (34,),
    "bag": (9,),
    "hat": (103, 104, 105, 106),
    "dress": (77,),
    # watch, wallet, fashion goods, collectible, beauty, tech, camping, furniture
    "etc": (54, 66, 7, 67, 46, 11, 43, 68),
}


class KreamPages(Shop):
    """Addresses and markup of KREAM."""

    site: str = "kream"
    post_rendering: Rendering = "fallback"
    listing_rendering: Rendering = "always"
    block_size: int = 10_000
    home: str = _HOME
    image_hosts: Sequence[str] = _IMAGE_HOSTS
    post_path: re.Pattern[str] = _POST
    ready_selector: str = ".social_post_detail, .error_page"
    card_selector: str = ".product_card, .item_inner"
    categories: Mapping[int, str] = MappingProxyType(
        {number: label for label, ids in _BY_LABEL.items() for number in ids}
    )

    def post_url(self, post_id: int) -> str:
        """Address of a post."""
        return f"{self.base_url}/social/posts/{post_id}"

    def listing_url(self, shop_category_id: int, page: int) -> str:
        """Address of a listing page, counted from 1."""
        return f"{self.base_url}/search?shop_category_id={shop_category_id}&page={page}"

    def parse_post(self, html: str, post_id: int) -> PostPage:
        """Read a post's page.

        Raises:
            PageError: neither the page's data nor its DOM holds this post.
        """
        selector = Selector(html or " ")
        data, dom = _post_data(selector, post_id), selector.css(".social_post_detail")
        if data is None and not dom:
            raise PageError(f"kream post {post_id}: no social_post in __NUXT_DATA__ and no .social_post_detail")
        data = data or {}
        return PostPage(
            images=self._data_images(data) or self._dom_images(dom),
            products=self._data_products(data) or self._dom_products(dom),
            posted_at=moment(data.get("date_created")) or moment(clean(dom.css(".upload_time::text").get())),
            ai_made=_is_ai_made(data, dom),
        )

    def parse_listing(self, html: str) -> Sequence[ShopItem]:
        """Read the cards of a rendered listing; an empty listing has none.

        Raises:
            PageError: the page has cards, but none with a product link and a picture.
        """
        selector = Selector(html or " ")
        cards = selector.css(".product_card") or selector.css(".item_inner")
        items = [self._card(card) for card in cards]
        usable = [item for item in items if item.product_id and item.image_url]
        if items and not usable:
            raise PageError(f"kream listing: {len(items)} cards, none with a product link and a picture")
        return usable

    def _data_images(self, data: dict[str, Any]) -> tuple[str, ...]:
        pictures = [image for image in _entries(data.get("images")) if image.get("type") != "video"]
        return unique([original(self.base_url, clean(i.get("secure_url")) or clean(i.get("url"))) for i in pictures])

    def _data_products(self, data: dict[str, Any]) -> tuple[ShopItem, ...]:
        tags = [tag for image in _entries(data.get("images")) for tag in _entries(image.get("product_tags"))]
        items = [self._release(tag["product"]) for tag in tags if isinstance(tag.get("product"), dict)]
        return distinct([item for item in items if item.product_id and item.image_url])

    def _release(self, product: dict[str, Any]) -> ShopItem:
        release = product.get("release")
        release = release if isinstance(release, dict) else product
        brand, addresses = product.get("brand"), _list(release.get("image_urls"))
        number = release.get("id")
        known = isinstance(number, int) and not isinstance(number, bool)
        return ShopItem(
            product_id=str(number) if known else None,
            name=clean(release.get("name")) or clean(release.get("translated_name")),
            brand=clean(brand.get("name")) if isinstance(brand, dict) else None,
            price=price(release.get("original_price")),
            product_url=f"{self.base_url}/products/{number}" if known else None,
            image_url=original(self.base_url, clean(addresses[0])) if addresses else None,
        )

    def _dom_images(self, dom: Any) -> tuple[str, ...]:
        slides = dom.css(".social_image_box .slick-slide:not(.slick-cloned) img::attr(src)").getall()
        addresses = slides or dom.css(".social_image_box img::attr(src)").getall()
        return unique([original(self.base_url, address) for address in addresses])

    def _dom_products(self, dom: Any) -> tuple[ShopItem, ...]:
        return distinct([self._card(item) for item in dom.css(".product_item")])

    def _card(self, card: Any) -> ShopItem:
        address = card.xpath("(descendant-or-self::a | ancestor::a)[contains(@href, '/products/')]/@href").get()
        match = _PRODUCT.search(address or "")
        image = card.css(".product_img img")
        name = clean(card.css(".product_name::text, .name::text, .translated_name::text").get())
        return ShopItem(
            product_id=match[1] if match else None,
            name=name or clean(image.attrib.get("alt")),
            brand=clean(card.css(".brand::text").get()),
            price=price(clean(card.css(".amount::text").get())),
            product_url=original(self.base_url, address),
            image_url=original(self.base_url, image.attrib.get("src")),
        )


def _post_data(selector: Selector, post_id: int) -> dict[str, Any] | None:
    text = selector.xpath("//script[@id='__NUXT_DATA__']/text()").get()
    if not text:
        return None
    try:
        data = decode(text)
    except NuxtDataError:
        return None  # the DOM below still holds the page
    posts = find(data, lambda value: value.get("id") == post_id and isinstance(value.get("images"), list))
    return next(posts, None)


def _is_ai_made(data: dict[str, Any], dom: Any) -> bool:
    # The mark is a label of the page; the poster's own text may say anything.
    labels = [value for name, value in data.items() if name not in ("content", "comments", "images")]
    texts = [value.get("text") if isinstance(value, dict) else value for value in labels]
    shown = dom.xpath(".//*[not(ancestor-or-self::*[contains(@class, 'social_text')])]/text()").getall()
    return any(isinstance(text, str) and AI_MARK in text for text in (*texts, *shown))


def _entries(value: Any) -> list[dict[str, Any]]:
    """The dictionaries of a list, not all of very many: values that are shared multiply for nothing."""
    return [entry for entry in _list(value) if isinstance(entry, dict)][:MAX_PICTURES]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
