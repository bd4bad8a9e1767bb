"""What a site needs of the world that it serves: the drawn `World` and the `PhotoWorld` both have this shape."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import pyarrow as pa

KREAM: Final = "kream"
ONTHELOOK: Final = "onthelook"


class Product(Protocol):
    """One product of the shop."""

    @property
    def product_id(self) -> int: ...  # noqa: D102
    @property
    def category(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def brand(self) -> str: ...  # noqa: D102
    @property
    def price(self) -> int: ...  # noqa: D102
    @property
    def shop_category_id(self) -> int: ...  # noqa: D102


class Photo(Protocol):
    """One photo of a post."""

    @property
    def position(self) -> int: ...  # noqa: D102


class Tag(Protocol):
    """One product that a post names."""

    @property
    def position(self) -> int: ...  # noqa: D102
    @property
    def product_id(self) -> int: ...  # noqa: D102


class Post(Protocol):
    """One post of a site."""

    @property
    def post_id(self) -> int: ...  # noqa: D102
    @property
    def gone(self) -> bool: ...  # noqa: D102
    @property
    def ai_made(self) -> bool: ...  # noqa: D102
    @property
    def posted_at(self) -> datetime: ...  # noqa: D102
    @property
    def photos(self) -> Sequence[Photo]: ...  # noqa: D102
    @property
    def tags(self) -> Sequence[Tag]: ...  # noqa: D102


class Source(Protocol):
    """Products, posts and pictures, with truth about them."""

    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def products(self) -> Mapping[int, Product]: ...  # noqa: D102
    @property
    def listed(self) -> Mapping[int, Product]: ...  # noqa: D102 - what the shop's listings show
    @property
    def posts(self) -> Mapping[str, Mapping[int, Post]]: ...  # noqa: D102

    def photo(self, site: str, post_id: int, position: int) -> bytes:
        """Bytes of a post's photo, as served. Raises `KeyError` when there is none."""
        ...

    def thumbnail(self, site: str, product_id: int) -> bytes:
        """Bytes of a product's picture, as served. Raises `KeyError` when there is none."""
        ...

    def has_thumbnail(self, site: str, product_id: int) -> bool:
        """Whether the shop has a picture of the product."""
        ...

    def site_product_id(self, site: str, product_id: int) -> str:
        """The id by which a site knows the product."""
        ...

    def truth(self) -> dict[str, pa.Table]:
        """Truth tables by name."""
        ...
