"""Between the crawl and the network: refuses what the policy refuses, and waits when a site asks for it."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from scrapy import Request, Spider  # noqa: TID253 - only Scrapy imports this file
from scrapy.crawler import Crawler  # noqa: TID253
from scrapy.downloadermiddlewares.retry import RetryMiddleware  # noqa: TID253
from scrapy.exceptions import IgnoreRequest  # noqa: TID253
from scrapy.http import Response  # noqa: TID253

from crawlers.policy import Policy

BUSY: Final = frozenset({429, 503})
_FIRST_WAIT: Final = 0.5  # s; doubled with every further attempt
_LONGEST_WAIT: Final = 120.0  # s; a site that asks for more is left alone by failing the post, to be retried later


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
    """Scrapy's retries, but after a pause of the whole host: as long as `Retry-After` says, or doubling."""

    def __init__(self, settings: object) -> None:
        super().__init__(settings)  # type: ignore[arg-type]
        self._resume_at: dict[str, float] = {}

    async def process_request(self, request: Request) -> None:
        """Wait while the host is paused."""
        host = urlsplit(request.url).netloc
        while (wait := self._resume_at.get(host, 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def process_response(
        self,
        request: Request,
        response: Response,
        spider: Spider | None = None,  # noqa: ARG002 - Scrapy's signature
    ) -> Request | Response:
        """Retry a refused or failed response."""
        result = super().process_response(request, response)
        if isinstance(result, Request):
            self._pause(request, retry_after(response) if response.status in BUSY else None)
        return result

    def process_exception(
        self,
        request: Request,
        exception: Exception,
        spider: Spider | None = None,  # noqa: ARG002 - Scrapy's signature
    ) -> Request | Response | None:
        """Retry a broken connection."""
        result = super().process_exception(request, exception)
        if isinstance(result, Request):
            self._pause(request, 0.0)  # a broken transfer says nothing about the other requests
        return result

    def _pause(self, request: Request, asked: float | None) -> None:
        attempt = int(request.meta.get("retry_times", 0))
        seconds = _FIRST_WAIT * 2**attempt if asked is None else asked
        host = urlsplit(request.url).netloc
        until = time.monotonic() + min(seconds, _LONGEST_WAIT)
        self._resume_at[host] = max(until, self._resume_at.get(host, 0.0))


def retry_after(response: Response) -> float | None:
    """Seconds that a response asks to wait, from the number or the date of its `Retry-After`; None when it does not."""
    text = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
