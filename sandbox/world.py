"""The drawn world: products, posts, and their pictures, the same for the same seed and size. Everything is lazy."""

import io
from functools import lru_cache
from typing import Final

import pyarrow as pa
from PIL import Image

from sandbox import encoding, flaws, truth
from sandbox.drawing.canvas import DrawnPhoto
from sandbox.drawing.dresser import Look
from sandbox.drawing.scene import draw_photo
from sandbox.drawing.thumbnail import draw_side, draw_thumbnail
from sandbox.people import GARMENTS_PER_POST, draw_posts
from sandbox.posts import KREAM, ONTHELOOK, START, Beginning, Photo, Post, Tag
from sandbox.products import ETC_SHARE, Product, draw_catalogue, draw_style
from sandbox.seeds import stream

__all__ = ["Photo", "Post", "Product", "Tag", "World"]

MIN_PRODUCTS: Final = 340
"""A search over fewer products would be too easy to mean anything."""
_CACHED_PHOTOS: Final = 8  # encoded photos kept: a page asks for one photo in several widths at once


class World:
    """A seeded world of `posts` posts over both sites and `products` products (by default as many as they need).

    `begin` says where its ids and dates begin. Raises ValueError when `posts` is not positive, or `products` leaves a
    class empty.
    """

    def __init__(self, seed: int, posts: int, products: int | None = None, begin: Beginning = START) -> None:
        if posts < 1:
            raise ValueError(f"posts: must be at least 1, is {posts}")
        self.seed = seed
        total = products or max(MIN_PRODUCTS, round(posts * GARMENTS_PER_POST / (1 - ETC_SHARE)))
        self.products: dict[int, Product] = draw_catalogue(stream(seed, "catalogue"), total, begin.product_id)
        self.posts: dict[str, dict[int, Post]] = draw_posts(seed, self.products, posts, begin)
        self._original = lru_cache(_CACHED_PHOTOS)(self._encode_photo)

    @property
    def listed(self) -> dict[int, Product]:
        """What the shop's listings show: everything."""
        return self.products

    def site_product_id(self, site: str, product_id: int) -> str:
        """Return the id under which a site knows a product: KREAM's is the number itself."""
        return str(product_id) if site == KREAM else f"p{product_id * 7919 % 1_000_003:06d}"

    def photo(self, site: str, post_id: int, position: int, width: int | None = None) -> bytes:
        """Return a photo as the site serves it, at most `width` px wide (None: the original, perhaps EXIF-turned).

        Raises KeyError for a post or position that never was.
        """
        original = self._original(site, post_id, position)
        if width is None or self._photo(site, post_id, position).fault:
            return original
        return encoding.resized(original, width)

    def thumbnail(self, site: str, product_id: int, width: int | None = None) -> bytes:
        """Return a product's shop picture as the site serves it; OnTheLook serves its own re-encoded copy.

        Raises KeyError for an unknown product, or one whose picture is missing (see `has_thumbnail`).
        """
        if not self.has_thumbnail(site, product_id):
            raise KeyError(f"{site} has no thumbnail of product {product_id}")
        fault = self.thumbnail_fault(site, product_id)
        style = self.products[product_id].style
        rng = stream(self.seed, "thumbnail", product_id)
        data = draw_thumbnail(style, draw_side(rng, flaws.SMALL_THUMBNAIL_RATE), rng)
        if site == ONTHELOOK:
            data = encoding.second_hand(data, stream(self.seed, "copy", product_id))
        if fault:
            return encoding.broken(data, fault)
        return data if width is None else encoding.resized(data, width)

    def has_thumbnail(self, site: str, product_id: int) -> bool:
        """Say whether the site has a picture of the product at all; without one it answers 404."""
        return bool(self._luck(site, product_id)[0] >= flaws.MISSING_THUMBNAIL_RATE)

    def thumbnail_fault(self, site: str, product_id: int) -> str | None:
        """Return how the site's thumbnail of the product is broken, if it is."""
        draws = self._luck(site, product_id)
        return flaws.FAULTS[int(draws[2] * len(flaws.FAULTS))] if draws[1] < flaws.BROKEN_THUMBNAIL_RATE else None

    def thumbnail_side(self, site: str, product_id: int) -> int:
        """Shorter side of the site's picture of the product, px, without drawing it."""
        side = draw_side(stream(self.seed, "thumbnail", product_id), flaws.SMALL_THUMBNAIL_RATE)
        scale = encoding.second_hand_scale(stream(self.seed, "copy", product_id)) if site == ONTHELOOK else 1.0
        return round(side * scale)

    def truth(self) -> dict[str, pa.Table]:
        """Return the ground truth: see `sandbox.truth.SCHEMAS`. Draws every photo once."""
        return truth.tables(self)

    def draw(self, site: str, post_id: int, position: int, *, boxes_only: bool = False) -> DrawnPhoto:
        """Draw one photo of a post with its true boxes, upright and before encoding (see `draw_photo`)."""
        post = self.posts[site][post_id]
        if post.copy:
            source = self.draw(post.copy.site, post.copy.post_id, position, boxes_only=boxes_only)
            return encoding.copied(source, post.copy.kind, stream(self.seed, "copy", self._number(post), position))
        look = {self.products[i].category: (i, self.products[i].style) for i in post.worn}
        rng = stream(self.seed, "photo", self._number(post), position)
        body = stream(self.seed, "photo", self._number(post))
        photo = self._photo(site, post_id, position)
        stranger = self._stranger(post, position) if photo.bystander else None
        return draw_photo(look, photo, body, rng, stranger=stranger, ai_made=post.ai_made, boxes_only=boxes_only)

    def _stranger(self, post: Post, position: int) -> Look:
        """Dress somebody who has nothing to do with the shop."""
        rng = stream(self.seed, "bystander", self._number(post), position)
        return {category: (None, draw_style(rng, category)) for category in ("top", "bottom", "shoes")}

    def _encode_photo(self, site: str, post_id: int, position: int) -> bytes:
        photo = self._photo(site, post_id, position)
        if photo.fault in ("empty", "html", "bomb"):
            return encoding.broken(b"", photo.fault)
        data = encoding.jpeg(self.draw(site, post_id, position).image, photo.quality, photo.orientation)
        return encoding.broken(data, photo.fault) if photo.fault else data

    def _photo(self, site: str, post_id: int, position: int) -> Photo:
        photos = self.posts[site][post_id].photos
        if not 0 <= position < len(photos):
            raise KeyError(f"{site} post {post_id} has no photo {position}")
        return photos[position]

    def _number(self, post: Post) -> int:
        return post.post_id * 2 + (post.site == ONTHELOOK)

    def _luck(self, site: str, product_id: int) -> list[float]:
        if product_id not in self.products:
            raise KeyError(f"no product {product_id}")
        draws: list[float] = stream(self.seed, "flaws", product_id, int(site == ONTHELOOK)).random(3).tolist()
        return draws


def image_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) of an encoded image, without decoding it."""
    with Image.open(io.BytesIO(data)) as image:
        return image.size
