"""29CM (29cm.co.kr): listings by category as JSON, without login or browser.

Addresses and fields as public code of 2025 shows them (`search-api.29cm.co.kr/api/v4/products/category`).
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from crawlers.errors import PageError
from crawlers.pages.base import Rendering, ShopItem, clean, hosts_of, original, price

_HOME: Final = "https://search-api.29cm.co.kr"
_SHOP: Final = "https://product.29cm.co.kr/catalog"
_IMAGES: Final = "https://img.29cm.co.kr"
_PER_PAGE: Final = 50
_MEDIUM: Final = {272103100: "top", 272102100: "outer", 272104100: "bottom", 275101100: "hat"}
_LARGE: Final = {274100100: "shoes", 270100100: "shoes", 273100100: "bag", 269100100: "bag"}
_LARGE_DIGITS: Final = 1_000_000  # a medium category's first digits are those of its large one
_LARGE_TAIL: Final = 100_100


class TwentyNinePages:
    """Addresses and answers of 29CM's product search."""

    site: str = "29cm"
    listing_rendering: Rendering = "never"
    card_selector: str = ""
    categories: Mapping[int, str] = MappingProxyType({**_MEDIUM, **_LARGE})

    def __init__(self, base_url: str | None = None) -> None:
        self.base_url = (base_url or _HOME).rstrip("/")
        self.hosts = hosts_of(self.base_url, _HOME, ("img.29cm.co.kr",))
        self._images = _IMAGES if self.base_url == _HOME else self.base_url

    def listing_url(self, shop_category_id: int, page: int) -> str:
        """Address of a page of products, counted from 1."""
        large = shop_category_id
        medium = ""
        if shop_category_id in _MEDIUM:
            large = shop_category_id // _LARGE_DIGITS * _LARGE_DIGITS + _LARGE_TAIL
            medium = f"&categoryMediumCode={shop_category_id}"
        query = f"categoryLargeCode={large}{medium}&count={_PER_PAGE}&page={page}"
        return f"{self.base_url}/api/v4/products/category?{query}"

    def parse_listing(self, html: str) -> Sequence[ShopItem]:
        """Read the products of an answer; one beyond the last page has none.

        Raises:
            PageError: not JSON of the known shape, or products without number and picture.
        """
        try:
            products = json.loads(html)["data"]["products"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PageError(f"29cm listing: no data.products in the answer ({type(error).__name__})") from error
        if not isinstance(products, list):
            raise PageError(f"29cm listing: data.products is a {type(products).__name__}")
        items = [self._item(product) for product in products if isinstance(product, dict)]
        usable = [item for item in items if item.product_id and item.image_url]
        if products and not usable:
            raise PageError(f"29cm listing: {len(products)} products, none with itemNo and imageUrl")
        return usable

    def _item(self, product: dict[str, Any]) -> ShopItem:
        number, sale = product.get("itemNo"), product.get("saleInfoV2")
        known = isinstance(number, int) and not isinstance(number, bool)
        return ShopItem(
            product_id=str(number) if known else None,
            name=clean(product.get("itemName")),
            brand=clean(product.get("frontBrandNameKor")) or clean(product.get("frontBrandNameEng")),
            price=price(sale.get("consumerPrice") if isinstance(sale, dict) else product.get("consumerPrice")),
            product_url=f"{_SHOP}/{number}" if known else None,
            image_url=original(self._images, clean(product.get("imageUrl"))),
        )
