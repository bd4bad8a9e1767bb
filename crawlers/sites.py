"""The retailers: one line each. How to add one: docs/ADD_A_SITE.md."""

from collections.abc import Mapping
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


def site_of(url: str, base_url: str | None = None) -> PostSite:
    """Page object of the site that a post's address belongs to; `base_url` if it is not at its own address.

    Raises:
        ConfigError: no site has such posts.
    """
    for pages in (kind(base_url) for kind in POST_SITES.values()):
        if pages.post_id(url) is not None:
            return pages
    raise ConfigError(f"url: {url!r} is no post of {', '.join(POST_SITES)}")
