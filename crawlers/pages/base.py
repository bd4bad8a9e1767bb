"""What a page object gives, whatever the retailer, and the small parsers that all of them need."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final, Literal, Protocol, runtime_checkable
from urllib.parse import urljoin, urlsplit, urlunsplit

AI_MARK: Final = "AI로 제작"
MAX_PICTURES: Final = 60
"""Photos, and products, read from one page at most; a post has about ten, so more is a page that went wrong."""
_SEOUL: Final = timezone(timedelta(hours=9))
_MAX_PRICE: Final = 10**12  # KRW; longer numbers are not prices
_AMOUNT: Final = re.compile(r"[0-9]+(?:[.,'’\s][0-9]{3}(?![0-9]))*(?:[.,][0-9]{1,2}(?![0-9]))?")
"""Digits, whole or in groups of three, and at the end perhaps one or two decimals."""
_DECIMALS: Final = re.compile(r"[.,][0-9]{1,2}$")
_DAY: Final = re.compile(r"(\d{4})[.\-/년]\s*(\d{1,2})[.\-/월]\s*(\d{1,2})")
_VIDEO: Final = (".mp4", ".mov", ".m3u8", ".webm")


@dataclass(frozen=True, slots=True)
class ShopItem:
    """A product as a page shows it: tagged in a post or listed in a catalog."""

    product_id: str | None
    name: str | None
    brand: str | None
    price: int | None  # whole units of the shop's currency; shown as KRW
    product_url: str | None
    image_url: str | None  # original, query removed


@dataclass(frozen=True, slots=True)
class PostPage:
    """Everything of a post that pairing needs, and nothing about the person who posted it."""

    images: tuple[str, ...]  # addresses of the original photos, in page order, videos left out
    products: tuple[ShopItem, ...]
    posted_at: datetime | None  # UTC
    ai_made: bool


Rendering = Literal["never", "fallback", "always"]
"""Whether a page must be rendered in a browser: `fallback` asks for it plainly, and renders it where that yields
nothing."""


class PostSite(Protocol):
    """A retailer whose posts can be crawled."""

    site: str
    base_url: str
    hosts: frozenset[str]
    post_rendering: Rendering
    block_size: int
    """Post ids per shard, if the configuration names no other."""
    ready_selector: str
    """CSS selector that a rendered page has once its content, or the message that it has none, is there."""

    def __init__(self, base_url: str | None = None) -> None: ...

    def post_url(self, post_id: int) -> str:
        """Address of a post."""
        ...

    def post_id(self, url: str) -> int | None:
        """Id of the post at an address, None when it is no post of this site."""
        ...

    def parse_post(self, html: str, post_id: int) -> PostPage:
        """Read a post's page. Raises `PageGoneError` or `PageError`."""
        ...


@runtime_checkable
class FeedSite(PostSite, Protocol):
    """A retailer whose post ids do not count upwards: a feed names them, newest first."""

    def feed_url(self, page: int) -> str:
        """Address of a page of the feed, counted from 1."""
        ...

    def parse_feed(self, html: str) -> Sequence[int]:
        """Post ids of a page of the feed. Raises `PageError`."""
        ...


class CatalogSite(Protocol):
    """A retailer whose listings can be crawled by category."""

    site: str
    base_url: str
    hosts: frozenset[str]
    categories: Mapping[int, str]
    """Shop category id → one of the seven classes or etc."""
    listing_rendering: Rendering
    card_selector: str

    def __init__(self, base_url: str | None = None) -> None: ...

    def listing_url(self, shop_category_id: int, page: int) -> str:
        """Address of a listing page, counted from 1."""
        ...

    def parse_listing(self, html: str) -> Sequence[ShopItem]:
        """Read the products of a listing. Raises `PageError`."""
        ...


class Shop:
    """What page objects of posts share: where the site is, and which of its addresses are posts.

    Args:
        base_url: the site's address, if it is not its own.
    """

    home: str
    image_hosts: Sequence[str]
    post_path: re.Pattern[str]
    """Path of a post; the first group is its id."""

    def __init__(self, base_url: str | None = None) -> None:
        self.base_url = (base_url or self.home).rstrip("/")
        self.hosts = hosts_of(self.base_url, self.home, self.image_hosts)

    def post_id(self, url: str) -> int | None:
        """Id of the post at an address, None when it is no post of this site."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        match = self.post_path.fullmatch(parts.path)
        return int(match[1]) if match and parts.netloc == urlsplit(self.base_url).netloc else None


def hosts_of(base_url: str, default: str, others: Sequence[str]) -> frozenset[str]:
    """Hosts that a crawl may talk to: that of `base_url`, and the retailer's own others if it is the real site."""
    host = urlsplit(base_url).hostname or ""
    return frozenset({host, *others} if base_url == default else {host})


def original(base_url: str, address: str | None) -> str | None:
    """Absolute address without the query that selects a size, or None for what cannot be fetched (data:, videos)."""
    whole = link(base_url, address)
    return None if whole is None else urlunsplit((*urlsplit(whole)[:3], "", ""))


def link(base_url: str, address: str | None) -> str | None:
    """Absolute address with its query, which may be all that names a product, without fragment; None as `original`."""
    if not address:
        return None
    try:
        parts = urlsplit(urljoin(base_url, address.strip()))
        whole = urlunsplit((*parts[:4], ""))
        whole.encode()  # half an emoji cannot be sent
        _ = parts.port  # raises for what is no port
    except ValueError:  # "http://[" and the like
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.lower().endswith(_VIDEO):
        return None
    return whole


def unique(addresses: Sequence[str | None]) -> tuple[str, ...]:
    """Addresses without None and repeats, in order, at most `MAX_PICTURES`."""
    return tuple(dict.fromkeys(address for address in addresses if address))[:MAX_PICTURES]


def distinct(items: Sequence[ShopItem]) -> tuple[ShopItem, ...]:
    """Products without repeats, as carousels show them, in order, at most `MAX_PICTURES`."""
    first: dict[str, ShopItem] = {}
    for position, item in enumerate(items):
        first.setdefault(item.product_id or item.image_url or str(position), item)
    return tuple(first.values())[:MAX_PICTURES]


def clean(text: object) -> str | None:
    """Text with white space collapsed and � for half an emoji, or None when nothing is left or it is no text."""
    if not isinstance(text, str):
        return None
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # no table can hold a half
    return " ".join(whole.split()) or None


def price(value: object) -> int | None:
    """A price in whole units of the shop's currency, from a number or from text such as `129,000원` or `1.299,50 €`.

    A fraction is rounded, half up; a point or comma before three digits parts thousands, before fewer decimals.
    """
    if isinstance(value, str):
        match = _AMOUNT.search(value)
        amount = match[0] if match else ""
        fraction = _DECIMALS.search(amount)
        whole = re.sub(r"[^0-9]", "", amount[: fraction.start()] if fraction else amount)
        if not 0 < len(whole) <= len(str(_MAX_PRICE)):
            return None
        value = float(f"{whole}.{fraction[0][1:]}") if fraction else int(whole)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_PRICE:
        return None
    return math.floor(value + 0.5)


def moment(text: object, zone: tzinfo = _SEOUL) -> datetime | None:
    """A time in UTC from ISO 8601 or a date such as `2023.01.17` or `2023년 1월 17일` (midnight).

    Args:
        text: what the page has.
        zone: where a time without a zone is meant.
    """
    if not isinstance(text, str):
        return None
    try:
        if (match := _DAY.match(text.strip())) and len(text.strip()) <= len("2023년 01월 17일"):
            year, month, day = (int(part) for part in match.groups())
            return datetime(year, month, day, tzinfo=zone).astimezone(UTC)
        value = datetime.fromisoformat(text.strip())
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
