"""Ask for pages and pictures through Scrapy's downloader, and say in the project's terms what went wrong."""

import asyncio
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scrapy import Request  # noqa: TID253 - only spiders import this file
from scrapy.crawler import Crawler  # noqa: TID253
from scrapy.exceptions import IgnoreRequest  # noqa: TID253
from scrapy.http import Response  # noqa: TID253
from scrapy.http.request import NO_CALLBACK  # noqa: TID253

from crawlers.pages.base import clean
from crawlers.progress import Progress
from crawlers.rows import Picture, now
from curation.errors import ImageError
from curation.images import inspect
from curation.reasons import ImageFault

GONE: Final = frozenset({404, 410})
OK: Final = 200
_TOO_LARGE: Final = frozenset({"DownloadCancelledError", "CancelledError"})
"""What Scrapy, by version, raises for a body above `DOWNLOAD_MAXSIZE`."""
_MESSAGE_LENGTH: Final = 300  # characters of an error kept in the ledger


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that the policy or robots.txt forbids."""

    message: str
    by_robots: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """A request that got no whole response, retries included."""

    kind: str
    message: str

    @classmethod
    def by(cls, error: Exception) -> "Broken":
        """Of the error that broke it."""
        return cls(type(error).__name__, (clean(str(error)) or repr(error))[:_MESSAGE_LENGTH])


class Fetcher:
    """One crawl's way to the network.

    Args:
        crawler: the running crawler.
        known: looks a picture up that an earlier post already brought, so that none is fetched twice.
        progress: counts requests, bytes and pictures.
    """

    def __init__(self, crawler: Crawler, known: Callable[[str], Picture | None], progress: Progress) -> None:
        self._crawler = crawler
        self._known = known
        self._progress = progress
        self._flying: dict[str, asyncio.Task[Picture]] = {}
        # Fetched, but its post is not committed yet, so `known` cannot know it: found while any post still holds it.
        self._held: weakref.WeakValueDictionary[str, Picture] = weakref.WeakValueDictionary()

    @property
    def is_over(self) -> bool:
        """Whether the engine has stopped: what goes wrong then is no fault of the site."""
        engine = self._crawler.engine
        return engine is None or engine.spider is None

    def close(self) -> None:
        """Give up the pictures under way: they outlive the posts that asked, since others may want them too."""
        for task in list(self._flying.values()):
            task.cancel()

    async def page(self, url: str, meta: Mapping[str, Any] | None = None) -> Response | Refused | Broken:
        """One page, whatever its status."""
        return await self._get(url, meta or {})

    async def picture(self, url: str | None, captured: Mapping[str, bytes] | None = None) -> Picture:
        """One picture: from what the browser captured, from an earlier post, or from the site, in this order."""
        picture = await self._picture(url, captured)
        self._progress.pictures[picture.error.value if picture.error else "ok"] += 1
        return picture

    async def _picture(self, url: str | None, captured: Mapping[str, bytes] | None) -> Picture:
        if not url:
            return Picture("", now(), error=ImageFault.MISSING)
        if captured and url in captured:
            return await examined(url, captured[url])
        if known := self._held.get(url) or self._known(url):
            return known
        task = self._flying.get(url)
        if task is None:
            task = asyncio.create_task(self._download(url))
            self._flying[url] = task
            task.add_done_callback(lambda task: self._landed(url, task))
        return await asyncio.shield(task)

    def _landed(self, url: str, task: asyncio.Task[Picture]) -> None:
        self._flying.pop(url)
        if not task.cancelled() and task.exception() is None:
            self._held[url] = task.result()

    async def _download(self, url: str) -> Picture:
        response = await self._get(url, {})
        if isinstance(response, Refused):
            return Picture(url, now(), error=ImageFault.NOT_CAPTURED)
        if isinstance(response, Broken):
            fault = ImageFault.TOO_MANY_BYTES if response.kind in _TOO_LARGE else ImageFault.TRANSFER
            return Picture(url, now(), error=fault)
        if response.status != OK:
            fault = ImageFault.MISSING if response.status in GONE else ImageFault.HTTP_ERROR
            return Picture(url, now(), error=fault)
        return await examined(url, response.body)

    async def _get(self, url: str, meta: Mapping[str, Any]) -> Response | Refused | Broken:
        request = Request(url, callback=NO_CALLBACK, dont_filter=True, meta=dict(meta))
        engine = self._crawler.engine
        if engine is None:
            raise RuntimeError("the crawl has not started")
        self._progress.requests += 1
        try:
            response = await engine.download_async(request)
        except IgnoreRequest as error:
            message = str(error)[:_MESSAGE_LENGTH]
            return Refused(message, by_robots="robots.txt" in message)
        except Exception as error:  # Twisted and Playwright raise dozens of unrelated classes
            if self.is_over:
                raise
            return Broken.by(error)
        self._progress.bytes += len(response.body)
        return response


async def examined(url: str, data: bytes) -> Picture:
    """A picture of these bytes, or its fault; decoded in a thread, since a large one would hold up the crawl."""
    try:
        info = await asyncio.to_thread(inspect, data)
    except ImageError as error:
        return Picture(url, now(), error=ImageFault(error.reason))
    return Picture(url, now(), data, info.format, info.width, info.height, info.has_alpha, info.sha256)
