"""What a post is made of: its photos, its tags, its owner. Plain records, no drawing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

KREAM: Final = "kream"
ONTHELOOK: Final = "onthelook"
SITES: Final = (KREAM, ONTHELOOK)

FRAMINGS: Final = ("full", "mirror", "upper", "lower", "feet")
"""How a photo is cut: the whole person, a mirror selfie, head to thigh, waist to floor, feet only."""


@dataclass(frozen=True)
class Beginning:
    """Where the numbers and the clock of a world begin: at the start, or where the world before it has ended."""

    product_id: int = 10_000  # below the first one
    post_ids: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(SITES, 0))  # by site, below the first one
    posted_at: datetime = datetime(2024, 1, 1, 9, tzinfo=UTC)


START: Final = Beginning()


@dataclass(frozen=True)
class Photo:
    """One photo of a post, as it will be drawn. Sizes are upright pixels, before a repost changes them."""

    position: int
    framing: str  # one of FRAMINGS
    width: int
    height: int
    quality: int  # JPEG quality
    orientation: int  # EXIF orientation tag: 1, 3, 6 or 8
    bystander: bool
    fault: str | None  # None, "truncated", "empty", "html" or "bomb"


@dataclass(frozen=True)
class Tag:
    """A product that the page shows beside a post. `right` is False when another product of its class was meant."""

    position: int
    product_id: int
    right: bool


@dataclass(frozen=True)
class Copy:
    """Where a repost comes from and how its photos were changed."""

    site: str
    post_id: int
    kind: str  # one of `sandbox.flaws.COPY_KINDS`


@dataclass(frozen=True)
class Post:
    """One post of one site. `worn` (what the person truly wears) is ground truth: no page may show it."""

    site: str
    post_id: int
    gone: bool
    ai_made: bool
    posted_at: datetime  # UTC
    photos: tuple[Photo, ...]
    tags: tuple[Tag, ...]
    user: str
    text: str
    worn: tuple[int, ...]
    copy: Copy | None
