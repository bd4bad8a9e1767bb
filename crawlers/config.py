"""What a crawl may be told, checked before any work starts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from crawlers.blocks import parse_blocks
from crawlers.errors import ConfigError
from crawlers.pages.base import Rendering
from crawlers.sites import CATALOG_SITES, CATALOG_SUFFIX, KINDS, POST_SITES
from curation.taxonomy import LABELS

AUTO: Final = "auto"
BROWSERS: Final = tuple(
    map(Path, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium", "/usr/local/bin/chromium-headless-shell"))
)
"""Where Debian puts Chromium, and set-up Playwright's where there is no such package, as on Ubuntu.

A headless shell has no windows, and renders a page with half the work.
"""
BROWSER: Final = next((path for path in BROWSERS if path.is_file()), BROWSERS[-1])
"""The one that is installed here."""
_SITE_NAME: Final = re.compile(r"[a-z0-9_]{1,40}")  # no hyphen: the search calls a product <site>-<id>


class CrawlConfig(BaseModel):
    """One crawl: what, where to, how much, how politely."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description="posts of a site, or a catalog")
    out: Path = Field(description="folder of the tables posts/, ledger/, catalog/")
    blocks: str = Field(AUTO, description="blocks of post ids, such as 0-3,7; auto: all up to the newest post")
    block_size: int | None = Field(None, ge=1, le=10**18, description="post ids per shard; by default the site's own")
    max_posts: int | None = Field(None, ge=1, description="post ids to try in this run at most")
    max_seconds: float | None = Field(None, gt=0, description="seconds after which the run stops, resumable")
    categories: str | None = Field(None, description="classes to list, such as hat,bag; by default all")
    max_products: int | None = Field(None, ge=1, description="products of each of the shop's categories at most")
    base_url: str | None = Field(None, description="crawl this address instead of the real site")
    delay: float = Field(
        1.0, ge=0, le=600, description="seconds between requests to one host; 0 also ends AutoThrottle"
    )
    concurrency: int = Field(8, ge=1, le=256, description="requests at one time to one host")
    pages: int = Field(4, ge=1, le=32, description="browser pages at one time")
    retries: int = Field(3, ge=0, le=20, description="further attempts at a request that failed in passing")
    timeout: float = Field(30.0, gt=0, le=600, description="seconds for one response")
    retry_failed: bool = Field(False, description="try the ids again that failed before")
    retry_wait: float = Field(
        3600.0, ge=0, le=10**7, description="seconds before a failed id is due again, doubled with every attempt"
    )
    gone_days: float = Field(180.0, ge=0, le=10**5, description="days after which a deleted post is looked for again")
    refresh: bool = Field(False, description="crawl again what is already there")
    frontier_window: int = Field(200, ge=1, le=10_000, description="missing ids in a row that mean: no newer post")
    allow_private: bool = Field(False, description="allow loopback and private addresses (for the sandbox)")
    user_agent: str = Field(
        "fashion-pairs/0.1 (research crawler; robots.txt obeyed)", min_length=1, description="name given to the sites"
    )
    browser: Path = Field(BROWSER, description="Chromium's executable")
    scroll_wait: float = Field(1.0, gt=0, le=60, description="seconds without new cards that end a listing")
    progress_every: int = Field(100, ge=1, description="pages per progress line")

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"must be one of {', '.join(KINDS)}")
        return value

    @field_validator("out")
    @classmethod
    def _check_out(cls, value: Path) -> Path:
        return folder(value)

    @field_validator("blocks")
    @classmethod
    def _check_blocks(cls, value: str) -> str:
        if value != AUTO:
            parse_blocks(value)
        return value

    @field_validator("categories")
    @classmethod
    def _check_categories(cls, value: str | None) -> str | None:
        if value is not None and not set(value.split(",")) <= set(LABELS):
            raise ValueError(f"must be some of {', '.join(LABELS)}, with commas between, got {value!r}")
        return value

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"must be an http or https address without query, got {value!r}")
        return value.rstrip("/")

    @property
    def site(self) -> str:
        """Site whose pages are read."""
        return self.kind.removesuffix(CATALOG_SUFFIX)

    @property
    def is_catalog(self) -> bool:
        """Whether listings are crawled rather than posts."""
        return self.kind.endswith(CATALOG_SUFFIX)

    @property
    def rendering(self) -> Rendering:
        """Whether the pages must be rendered. What may fall back to a browser never does where there is none."""
        if self.is_catalog:
            return CATALOG_SITES[self.site].listing_rendering
        wanted = POST_SITES[self.site].post_rendering
        return "never" if wanted == "fallback" and not self.browser.is_file() else wanted


Config = TypeVar("Config", bound=CrawlConfig)


class FeedConfig(CrawlConfig):
    """One import of a product feed: a catalog whose listings are the rows of a file."""

    feed: Path = Field(description="CSV or JSON lines, one product a row")
    refresh: bool = Field(True, description="a feed tells everything anew")

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, value: str) -> str:
        site = value.removesuffix(CATALOG_SUFFIX)
        if not _SITE_NAME.fullmatch(site):
            raise ValueError(f"site must be lower-case letters, digits and _, at most 40, not {site!r}")
        if site in CATALOG_SITES:
            raise ValueError(f"the catalog of {site} is crawled; give the feed's shop a name of its own")
        return value

    @property
    def rendering(self) -> Rendering:
        """There are no pages."""
        return "never"


def folder(path: Path) -> Path:
    """The path, if it is a folder or can become one. Raises `ValueError`."""
    there = next((part for part in (path, *path.parents) if part.exists()), None)
    if there is not None and not there.is_dir():
        raise ValueError(f"{str(there)!r} is a file; name a folder")
    return path


def make_config(**values: object) -> CrawlConfig:
    """Check the option values of a crawl. Raises what `checked` raises."""
    return checked(CrawlConfig, values)


def checked(model: type[Config], values: Mapping[str, object]) -> Config:
    """Check option values.

    Raises:
        ConfigError: names each option that is wrong, with its value and the rule.
    """
    try:
        config = model.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(map(_problem, error.errors()))) from error
    if config.rendering == "always" and not config.browser.is_file():
        raise ConfigError(f"browser: {config.browser} does not exist; install Debian's chromium or name another")
    return config


def _problem(item: Any) -> str:
    """One wrong option: its name, the rule, and its value unless the rule's text has it."""
    rule = item["msg"].removeprefix("Value error, ")
    value = "" if repr(item["input"]) in rule else f" (got {item['input']!r})"
    return f"{'.'.join(map(str, item['loc']))}: {rule}{value}"
