"""The retailers: one line each. How to add one: docs/ADD_A_SITE.md."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from crawlers.errors import ConfigError
from crawlers.pages.base import CatalogSite, PostSite
from crawlers.pages.kream import KreamPages
from crawlers.pages.musinsa import MusinsaPages
from crawlers.pages.onthelook import OnTheLookPages
from crawlers.pages.twentynine import TwentyNinePages

POST_SITES: Final[Mapping[str, type[PostSite]]] = MappingProxyType(
    {pages.site: pages for pages in (KreamPages, OnTheLookPages, MusinsaPages)}
)
"""Site → page object of its posts."""
CATALOG_SITES: Final[Mapping[str, type[CatalogSite]]] = MappingProxyType(
    {pages.site: pages for pages in (KreamPages, TwentyNinePages)}
)
"""Site → page object of its listings."""
CATALOG_SUFFIX: Final = "-catalog"
KINDS: Final = (*POST_SITES, *(f"{site}{CATALOG_SUFFIX}" for site in CATALOG_SITES))
"""What can be crawled."""
_PAGES: Final = range(1, 11)


def known_sites(out: Path) -> list[str]:
    """Sites that can be crawled, and those of which a folder has an imported catalog."""
    return sorted({*POST_SITES, *CATALOG_SITES, *(path.name for path in (out / "catalog").glob("*"))})


def kind_of(url: str, base_url: str | None = None) -> str:
    """Which crawl would ask for an address; `base_url` if the site is not at its own address.

    Raises:
        ConfigError: no site has such a post or listing.
    """
    for post_pages in (kind(base_url) for kind in POST_SITES.values()):
        if post_pages.post_id(url) is not None:
            return post_pages.site
    for pages in (kind(base_url) for kind in CATALOG_SITES.values()):
        if listing_number(pages, url) is not None:
            return f"{pages.site}{CATALOG_SUFFIX}"
    listings = ", ".join(CATALOG_SITES)
    raise ConfigError(f"url: {url!r} is no post of {', '.join(POST_SITES)} and no listing of {listings}")


def listing_number(pages: CatalogSite, url: str) -> int | None:
    """The shop's category of which an address is one of the first pages; None when it is no listing."""
    numbers = (number for number in pages.categories for page in _PAGES if pages.listing_url(number, page) == url)
    return next(numbers, None)
