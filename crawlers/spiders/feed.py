"""A product feed into a catalog: its rows stand for listings; pictures, ledger and shards are those of any catalog."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from crawlers.config import CrawlConfig
from crawlers.exclusions import Exclusions
from crawlers.feed import Feed
from crawlers.fetch import examined
from crawlers.pages.base import CatalogSite, ShopItem
from crawlers.progress import Progress
from crawlers.rows import Picture, now
from crawlers.spiders.catalog import CatalogSpider, Category
from curation.images import MAX_BYTES
from curation.reasons import ImageFault

log = logging.getLogger(__name__)
_PER_PAGE: Final = 100  # a stop is obeyed between pages


class FeedSpider(CatalogSpider):
    """Takes the products of a feed, and asks for nothing but their pictures."""

    name: ClassVar[str] = "feed"  # type: ignore[misc]
    max_pages: ClassVar[int] = sys.maxsize  # a feed has an end

    def __init__(self, pages: Feed, config: CrawlConfig, progress: Progress, exclusions: Exclusions, **kw: Any) -> None:
        super().__init__(cast(CatalogSite, pages), config, progress, exclusions, **kw)  # no listing is asked for
        self._feed = pages

    async def _listed(self, category: Category, number: int, page: int) -> Sequence[ShopItem]:  # noqa: ARG002
        return self._feed.items[number][(page - 1) * _PER_PAGE : page * _PER_PAGE]

    async def _picture(self, category: Category, item: ShopItem) -> Picture:
        path = self._feed.file(item)
        if path is None:
            return await super()._picture(category, item)
        picture = await _read(path, str(item.image_url))
        self.progress.pictures[picture.error.value if picture.error else "ok"] += 1
        category.staging.drop(picture.url)  # unlike an address, a file is read again: it costs nobody anything
        return picture


async def _read(path: Path, url: str) -> Picture:
    try:
        data = await asyncio.to_thread(_head, path)
    except FileNotFoundError:
        return Picture(url, now(), error=ImageFault.MISSING)
    except OSError as error:
        log.warning("%s: %s", path, error.strerror)
        return Picture(url, now(), error=ImageFault.TRANSFER)
    return await examined(url, data)


def _head(path: Path) -> bytes:
    """No more of a file than tells that it is too large."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
