"""What a crawl collects: pictures with their bytes or their fault, and the one ledger entry of each post."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from crawlers.pages.base import ShopItem
from curation.reasons import ImageFault, PostState

PHOTO: Final = "photo"
PRODUCT: Final = "product"
_RANK: Final = {PHOTO: 0, PRODUCT: 1}
_KEY_BITS: Final = 62  # below SQLite's 63, so that numbers and digests have a half each
PASSING: Final = frozenset({ImageFault.TRANSFER, ImageFault.HTTP_ERROR, ImageFault.NOT_CAPTURED})
"""Faults of pictures that another attempt may well bring. One of an address that may not be asked for is among them: a
site that moves its pictures to another host must not cost those that are there, nor settle its posts as empty."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Picture:
    """One fetched image: `data` and what it is, or `error`."""

    url: str
    crawled_at: datetime
    data: bytes | None = None
    format: str | None = None
    width: int | None = None  # px, upright
    height: int | None = None  # px, upright
    has_alpha: bool | None = None
    sha256: str | None = None
    error: ImageFault | None = None

    @property
    def usable(self) -> bool:
        """Whether there are bytes that decode."""
        return self.error is None

    @property
    def failed_in_passing(self) -> bool:
        """Whether another attempt may well succeed."""
        return self.error in PASSING


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table but for its image columns, which are kept once per address."""

    key: int  # post id; in a catalog `product_key`
    role: str
    position: int
    image_url: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """Order within the key: photos first, then products, each in page order."""
        return _RANK[self.role] << 16 | self.position


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """How a post id ended."""

    post_id: int
    state: PostState
    reason: str | None = None
    message: str | None = None
    attempts: int = 1
    photos: int = 0
    products: int = 0
    first_tried_at: datetime = field(default_factory=lambda: now())
    last_tried_at: datetime = field(default_factory=lambda: now())

    def values(self, site: str) -> dict[str, Any]:
        """As a row of the ledger table."""
        return {"site": site, **asdict(self), "state": self.state.value}


@dataclass(frozen=True, slots=True)
class PostResult:
    """Everything that one visit of a post gave; staged in one transaction."""

    entry: LedgerEntry
    rows: tuple[Row, ...] = ()
    pictures: tuple[Picture, ...] = ()


def now() -> datetime:
    """The time, in whole milliseconds as the tables keep it."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def product_key(product_id: str) -> int:
    """Where a product stands in its catalog: its number, and after all numbers a digest of an id that is none."""
    number = int(product_id) if re.fullmatch(r"0|[1-9][0-9]{0,18}", product_id) else None
    if number is not None and number < 1 << _KEY_BITS:
        return number
    digest = hashlib.blake2b(product_id.encode(), digest_size=8).digest()
    return 1 << _KEY_BITS | int.from_bytes(digest) >> 64 - _KEY_BITS


def item_values(item: ShopItem | None) -> dict[str, Any]:
    """Product columns of a row; all null for a photo."""
    return {
        "product_id": item.product_id if item else None,
        "product_name": item.name if item else None,
        "brand": item.brand if item else None,
        "price": item.price if item else None,
        "product_url": item.product_url if item else None,
    }
