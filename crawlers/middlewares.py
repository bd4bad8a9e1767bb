"""Between the crawl and the network: refuses what the policy refuses, and waits when a site asks for it."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from scrapy import Request, Spider  # noqa: TID253 - only Scrapy imports this file
from scrapy.crawler import Crawler  # noqa: TID253
from scrapy.downloadermiddlewares.retry import RetryMiddleware  # noqa: TID253
from scrapy.exceptions import IgnoreRequest  # noqa: TID253
from scrapy.http import Response  # noqa: TID253

from crawlers.errors import HostPausedError, PageError
from crawlers.policy import BLOCKED, Policy
from crawlers.spiders.base import WorkSpider

BUSY: Final = frozenset({429, 503})
_FIRST_WAIT: Final = 0.5  # s; doubled with every further attempt
_LONGEST_WAIT: Final = 120.0  # s; a site that asks for more is left alone: the crawl stops, to be resumed later


class PolicyMiddleware:
    """Refuses requests, redirects included, that the spider's policy refuses. robots.txt has its own middleware."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "PolicyMiddleware":
        """Build with the policy that the run put into the settings."""
        return cls(crawler.settings["CRAWL_POLICY"])

    async def process_request(self, request: Request) -> None:
        """Raise `IgnoreRequest` with the reason."""
        reason = await self._policy.refusal(request.url, robots=False)
        if reason is not None:
            raise IgnoreRequest(reason)


class BackOffMiddleware(RetryMiddleware):
    """Scrapy's retries, but after a pause of the whole host: as long as `Retry-After` says, or doubling.

    A host that asks for a longer pause than a crawl waits is asked for nothing more, and the crawl stops.
    """

    def __init__(self, settings: object) -> None:
        super().__init__(settings)  # type: ignore[arg-type]
        self._resume_at: dict[str, float] = {}

    async def process_request(self, request: Request) -> None:
        """Wait while the host is paused. Raises `HostPausedError` when that is too long."""
        host = urlsplit(request.url).netloc
        while (wait := self._resume_at.get(host, 0.0) - time.monotonic()) > 0:
            if wait > _LONGEST_WAIT:
                raise HostPausedError(f"{host} asks to be left alone for {wait:.0f} s more")
            await asyncio.sleep(wait)

    def process_response(
        self,
        request: Request,
        response: Response,
        spider: Spider | None = None,  # noqa: ARG002 - Scrapy's signature
    ) -> Request | Response:
        """Retry a refused or failed response."""
        is_busy = response.status in BUSY
        asked = retry_after(response) if is_busy else None
        if asked is not None and asked > _LONGEST_WAIT:
            self._pause(request, asked)
            self._stop(f"{urlsplit(request.url).netloc} asks to be left alone for {asked:.0f} s")
            return response
        result = super().process_response(request, response)
        if is_busy or isinstance(result, Request):
            self._pause(request, asked)
        return result

    def process_exception(
        self,
        request: Request,
        exception: Exception,
        spider: Spider | None = None,  # noqa: ARG002 - Scrapy's signature
    ) -> Request | Response | None:
        """Retry a broken connection, or a rendered page that was refused a part.

        Raises `IgnoreRequest` with the reason for a rendered page that led to an address which may not be asked for.
        """
        if BLOCKED in str(exception):
            raise IgnoreRequest(request.meta["refusals"][-1])
        result = super().process_exception(request, exception)
        if isinstance(result, Request):
            # A broken transfer says nothing about the other requests, a refusal does.
            self._pause(request, None if isinstance(exception, PageError) else 0.0)
        return result

    def _pause(self, request: Request, asked: float | None) -> None:
        attempt = int(request.meta.get("retry_times", 0))
        seconds = min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT) if asked is None else asked
        host = urlsplit(request.url).netloc
        self._resume_at[host] = max(time.monotonic() + seconds, self._resume_at.get(host, 0.0))
        self._hold(request, self._resume_at[host])

    def _hold(self, request: Request, until: float) -> None:
        """Let what waits in the downloader's queue of the host wait: it has passed this middleware already."""
        engine: Any = self.crawler.engine
        slot = engine.downloader.slots.get(request.meta.get("download_slot"))
        if slot is not None:
            slot.lastseen = max(slot.lastseen, until)

    def _stop(self, reason: str) -> None:
        if isinstance(self.crawler.spider, WorkSpider):
            self.crawler.spider.stop(reason)


def retry_after(response: Response) -> float | None:
    """Seconds that a response asks to wait, from the number or the date of its `Retry-After`; None when it does not."""
    text = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
