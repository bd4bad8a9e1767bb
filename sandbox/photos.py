"""A folder of real shop photos as a world: anchors become posts that tag one product, main shots become the catalog.

The folder holds `images.csv` (image, sku, color, view, category) and `pairs.csv` (anchor, positive, same_colour), which
docs/PHOTOS.md describes; `images.csv` may say name, brand and price too. Real photos have no true boxes, so `truth`
knows tags and products only.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from curation.taxonomy import LABELS
from sandbox.truth import SCHEMAS

_SITES: Final = ("kream", "onthelook")
_FIRST_POST: Final = datetime(2024, 3, 1, 9, tzinfo=UTC)
_SHOP_CATEGORY: Final[Mapping[str, int]] = MappingProxyType(
    {"bag": 9, "bottom": 65, "dress": 77, "hat": 103, "outer": 63, "shoes": 34, "top": 27, "etc": 7}
)
"""One of KREAM's category ids per label, so that the catalog can be listed by category."""
_ONTHELOOK_OFFSET: Final = 500_000  # the two sites number their products differently
_BRAND: Final = "Luma"
_PRICE: Final = 10_000  # KRW; where the folder tells no price
_COLUMNS: Final = {
    "images.csv": {"image", "sku", "color", "view", "category"},
    "pairs.csv": {"anchor", "positive", "same_colour"},
}


class PhotoFolderError(Exception):
    """Raised when a photo folder lacks a file or a column, names a category or picture that does not exist, or a price
    that is none."""


@dataclass(frozen=True, slots=True)
class ShopProduct:
    """One main shot of the folder."""

    product_id: int
    category: str
    name: str
    style: str  # the colours of one style are siblings
    shop_category_id: int
    image: str
    brand: str = _BRAND
    price: int = _PRICE


@dataclass(frozen=True, slots=True)
class ShopPhoto:
    """One anchor photo."""

    position: int
    image: str


@dataclass(frozen=True, slots=True)
class ShopTag:
    """The product that an anchor shows; `right` is False where the main shot is a digital recolour of another one."""

    position: int
    product_id: int
    right: bool


@dataclass(frozen=True, slots=True)
class ShopPost:
    """One anchor as a post."""

    site: str
    post_id: int
    posted_at: datetime
    photos: tuple[ShopPhoto, ...]
    tags: tuple[ShopTag, ...]
    gone: bool = False
    ai_made: bool = False


class PhotoWorld:
    """The folder as products and posts, half of the posts on each site.

    Raises:
        PhotoFolderError: see there.
    """

    seed: Final = 0

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder.resolve())
        images, pairs = _read(folder / "images.csv"), _read(folder / "pairs.csv")
        self.products = _products(images)
        self._product_of = {product.image: product.product_id for product in self.products.values()}
        self.posts = self._posts(pairs)
        self._check_files()

    @property
    def listed(self) -> dict[int, ShopProduct]:
        """What the shop's listings show: everything."""
        return self.products

    def photo(self, site: str, post_id: int, position: int) -> bytes:
        """The anchor's bytes. Raises `KeyError` for an unknown post, `IndexError` for an unknown photo."""
        return self._bytes(self.posts[site][post_id].photos[position].image)

    def thumbnail(self, site: str, product_id: int) -> bytes:
        """The main shot's bytes, the same on both sites. Raises `KeyError` for an unknown site or product."""
        if site not in _SITES:
            raise KeyError(site)
        return self._bytes(self.products[product_id].image)

    def has_thumbnail(self, site: str, product_id: int) -> bool:
        """Whether the product exists; every product of a folder has its picture."""
        return site in _SITES and product_id in self.products

    def site_product_id(self, site: str, product_id: int) -> str:
        """The id by which a site knows the product."""
        return str(product_id if site == "kream" else product_id + _ONTHELOOK_OFFSET)

    def truth(self) -> dict[str, pa.Table]:
        """Tables `tags`, `products` and `posts`: all that is known of real photos."""
        posts = [post for site in _SITES for post in self.posts[site].values()]
        rows = {
            "posts": [{"site": post.site, "post_id": post.post_id, "gone": False, "ai_made": False} for post in posts],
            "tags": self._tag_rows(posts),
            "products": [self._product_row(product) for product in self.products.values()],
        }
        return {name: pa.Table.from_pylist(found, schema=SCHEMAS[name]) for name, found in rows.items()}

    def _posts(self, pairs: list[dict[str, str]]) -> dict[str, dict[int, ShopPost]]:
        tags: dict[str, list[ShopTag]] = {}
        for row in pairs:
            if row["positive"] not in self._product_of:
                raise PhotoFolderError(f"pairs.csv: positive {row['positive']!r} is no main shot of images.csv")
            found = tags.setdefault(row["anchor"], [])
            found.append(ShopTag(len(found), self._product_of[row["positive"]], row["same_colour"] == "1"))
        posts: dict[str, dict[int, ShopPost]] = {site: {} for site in _SITES}
        for number, (anchor, found) in enumerate(sorted(tags.items())):
            site, post_id = _SITES[number % 2], number // 2 + 1
            when = _FIRST_POST + timedelta(hours=7 * number)
            posts[site][post_id] = ShopPost(site, post_id, when, (ShopPhoto(0, anchor),), tuple(found))
        return posts

    def _check_files(self) -> None:
        anchors = {photo.image for posts in self.posts.values() for post in posts.values() for photo in post.photos}
        missing = sorted(name for name in anchors | set(self._product_of) if not (Path(self.folder) / name).is_file())
        if missing:
            raise PhotoFolderError(f"{self.folder}: {len(missing)} listed pictures are missing, first {missing[0]!r}")

    def _tag_rows(self, posts: list[ShopPost]) -> list[dict[str, object]]:
        return [
            {
                "site": post.site,
                "post_id": post.post_id,
                "position": tag.position,
                "product_id": tag.product_id,
                "category": self.products[tag.product_id].category,
                "worn_product_id": tag.product_id if tag.right else None,
                "right": tag.right,
            }
            for post in posts
            for tag in post.tags
        ]

    def _product_row(self, product: ShopProduct) -> dict[str, object]:
        return {
            "product_id": product.product_id,
            "category": product.category,
            "family": self._families[product.style],
            "kream_id": self.site_product_id("kream", product.product_id),
            "onthelook_id": self.site_product_id("onthelook", product.product_id),
        }

    @cached_property
    def _families(self) -> dict[str, int]:
        return {style: number for number, style in enumerate(sorted({p.style for p in self.products.values()}))}

    def _bytes(self, image: str) -> bytes:
        return (Path(self.folder) / image).read_bytes()


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise PhotoFolderError(f"{path} is missing")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = _COLUMNS[path.name] - set(reader.fieldnames or ())
        if missing:
            raise PhotoFolderError(f"{path}: missing columns {sorted(missing)}")
        return list(reader)


def _products(images: list[dict[str, str]]) -> dict[int, ShopProduct]:
    products = {}
    for number, row in enumerate(
        sorted((row for row in images if row["view"] == "main"), key=lambda row: row["image"])
    ):
        if row["category"] not in LABELS:
            raise PhotoFolderError(f"images.csv: category {row['category']!r} of {row['image']} is not one of {LABELS}")
        category, style = row["category"], row["sku"].removesuffix(f"-{row['color']}")
        price = row.get("price") or str(_PRICE)
        if not (price.isascii() and price.isdigit()):
            raise PhotoFolderError(f"images.csv: price {price!r} of {row['image']} is no whole number of won")
        products[number + 1] = ShopProduct(
            number + 1,
            category,
            row.get("name") or row["sku"],
            style,
            _SHOP_CATEGORY[category],
            row["image"],
            row.get("brand") or _BRAND,
            int(price),
        )
    return products
