"""A tiny hand-made world for the tests of sites and crawlers: small plain pictures, and one of each kind of trouble."""

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from PIL import Image

HTML = b"<!doctype html><html><body>gateway</body></html>"


@dataclass(frozen=True)
class TinyProduct:
    product_id: int
    category: str
    shop_category_id: int
    name: str
    brand: str = "Stadt & Co"
    price: int = 129_000


@dataclass(frozen=True)
class TinyPhoto:
    position: int


@dataclass(frozen=True)
class TinyTag:
    position: int
    product_id: int
    right: bool = True


@dataclass(frozen=True)
class TinyPost:
    site: str
    post_id: int
    photos: tuple[TinyPhoto, ...]
    tags: tuple[TinyTag, ...]
    gone: bool = False
    ai_made: bool = False
    posted_at: datetime = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def post(site: str, post_id: int, photos: int = 1, tags: tuple[int, ...] = (1, 2), **flags: bool) -> TinyPost:
    tagged = tuple(TinyTag(position, number) for position, number in enumerate(tags))
    return TinyPost(site, post_id, tuple(TinyPhoto(n) for n in range(photos)), tagged, **flags)


def picture(number: int, size: tuple[int, int] = (60, 80), kind: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 4), dtype=np.uint8)
    image = Image.fromarray(pixels, "RGBA").resize(size)
    buffer = io.BytesIO()
    (image.convert("RGB") if kind == "JPEG" else image).save(buffer, kind)
    return buffer.getvalue()


@dataclass
class TinyWorld:
    """`posts` per site and id; `broken` maps (role, id) to bytes, or to None where the picture is missing."""

    posts: dict[str, dict[int, TinyPost]] = field(default_factory=dict)
    products: dict[int, TinyProduct] = field(default_factory=dict)
    broken: dict[tuple[str, int], bytes | None] = field(default_factory=dict)
    seed: int = 7

    @property
    def listed(self) -> dict[int, TinyProduct]:
        return self.products

    def photo(self, site: str, post_id: int, position: int) -> bytes:
        self.posts[site][post_id].photos[position]
        return self._or_broken("photo", post_id, picture(1000 * post_id + position + len(site)))

    def thumbnail(self, site: str, product_id: int) -> bytes:
        kind = "PNG" if product_id % 2 else "JPEG"
        return self._or_broken("product", product_id, picture(product_id, (240, 240), kind))

    def has_thumbnail(self, site: str, product_id: int) -> bool:
        return self.broken.get(("product", product_id), b"") is not None

    def site_product_id(self, site: str, product_id: int) -> str:
        return str(product_id) if site == "kream" else f"p{product_id:06d}"

    def truth(self) -> dict[str, pa.Table]:
        return {}

    def _or_broken(self, role: str, number: int, data: bytes) -> bytes:
        found = self.broken.get((role, number), data)
        if found is None:
            raise KeyError(number)
        return found


def tiny_world(posts: int = 6) -> TinyWorld:
    """A clean world: `posts` posts per site, two products each, of ten."""
    labels = (("top", 27), ("top", 26), ("shoes", 34), ("bag", 9), ("etc", 54))
    products = {n: TinyProduct(n, *labels[n % 5], f"Item <{n}>") for n in range(1, 11)}
    tagged = {
        site: {n: post(site, n, photos=1 + n % 2, tags=(1 + n % 10, 1 + (n + 3) % 10)) for n in range(1, posts + 1)}
        for site in ("kream", "onthelook")
    }
    return TinyWorld(tagged, products)


def troubled_world() -> TinyWorld:
    """One post of each kind of trouble on each site; post 1 is the only clean one."""
    world = tiny_world(1)
    jpeg = picture(5)
    bomb = _png_header(20_000, 20_000)
    for site in world.posts:
        world.posts[site] |= {
            2: post(site, 2, gone=True),
            3: post(site, 3, ai_made=True),
            4: post(site, 4, tags=()),
            5: post(site, 5),  # photo truncated
            6: post(site, 6),  # photo without bytes
            7: post(site, 7),  # HTML instead of the photo
            8: post(site, 8),  # a bomb
            9: post(site, 9, tags=(9,)),  # thumbnail missing
            10: post(site, 10, tags=(9, 1)),  # one thumbnail of two missing
        }
    world.broken = {
        ("photo", 5): jpeg[: len(jpeg) // 2],
        ("photo", 6): b"",
        ("photo", 7): HTML,
        ("photo", 8): bomb,
        ("product", 9): None,
    }
    return world


def _png_header(width: int, height: int) -> bytes:
    """A PNG that promises many pixels and holds none."""
    data = bytearray(picture(1, (4, 4), "PNG"))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)
