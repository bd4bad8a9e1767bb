"""robots.txt as RFC 9309 has it: what a host forbids, and everything while the host cannot say what it forbids."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from scrapy import Request  # noqa: TID253 - only Scrapy and spiders import this file
from scrapy.crawler import Crawler  # noqa: TID253
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware  # noqa: TID253
from scrapy.exceptions import IgnoreRequest  # noqa: TID253
from scrapy.http import Response  # noqa: TID253
from scrapy.robotstxt import RobotParser  # noqa: TID253

from crawlers.errors import RobotsError
from crawlers.fetch import OK
from crawlers.middlewares import BUSY

log = logging.getLogger(__name__)
_KEPT: Final = 86_400.0  # s
_SERVER_ERROR: Final = 500
"""From here on, a status says that the host is in trouble, not that it has no robots.txt."""


class Unreadable(RobotParser):
    """Stands for a robots.txt that could not be read: nothing is allowed (RFC 9309, 2.3.1.4).

    Args:
        why: the host, what it answered, and what to do.
    """

    def __init__(self, why: str) -> None:
        self.why = why

    @classmethod
    def from_crawler(cls, crawler: Crawler, robotstxt_body: bytes) -> "Unreadable":
        """Never called: there is no text to read."""
        raise NotImplementedError

    def allowed(self, url: str | bytes, user_agent: str | bytes) -> bool:  # noqa: ARG002 - Scrapy's signature
        """Nothing is."""
        return False


class RobotsMiddleware(RobotsTxtMiddleware):
    """Scrapy's robots.txt, but closed where Scrapy's is open: a server error or a lost connection forbids everything.

    It is asked for once a day (2.4; a crawl may take weeks), with the retries of any request. A redirect that leads too
    far, or to where a crawl may not go, counts as no robots.txt (2.3.1.2), as does any status of a client's error but
    429 (2.3.1.3).
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._asked_at: dict[str, float] = {}

    async def robot_parser(self, request: Request) -> RobotParser | None:
        """What a host allows, None for everything."""
        host, now = urlsplit(request.url).netloc, time.monotonic()
        if now - self._asked_at.get(host, -math.inf) > _KEPT:
            self._asked_at[host] = now
            self._parsers.pop(host, None)
        await super().robot_parser(request)  # of several requests that wait for one answer, it gives all but one None
        found: Any = self._parsers[host]
        return found if isinstance(found, RobotParser) else None

    def process_request_2(self, rp: RobotParser | None, request: Request) -> None:
        """Raise `IgnoreRequest` for what is forbidden, `RobotsError` while nobody can say what is."""
        if isinstance(rp, Unreadable):
            raise RobotsError(rp.why)
        super().process_request_2(rp, request)

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        if response.status in BUSY or response.status >= _SERVER_ERROR:
            self._close(netloc, f"HTTP {response.status}")
            return
        found = response if response.status == OK else response.replace(body=b"")  # an error page has no rules
        await super()._parse_robots(found, netloc, request)

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        if isinstance(exc, IgnoreRequest):
            super()._robots_error(exc, netloc)
        else:
            self._close(netloc, type(exc).__name__)

    def _close(self, netloc: str, answer: str) -> None:
        closed = Unreadable(
            f"robots.txt of {netloc} cannot be read ({answer}), so nothing may be asked of this host (RFC 9309). Try "
            "again later; if a browser can read it, the site refuses this crawler by its name: ask its operator"
        )
        log.warning("%s", closed.why)
        waiting: Any = self._parsers[netloc]  # a Deferred, on which the host's other requests wait
        self._parsers[netloc] = closed
        waiting.callback(closed)


def robots_of(crawler: Crawler, user_agent: str) -> Callable[[str], Awaitable[bool]]:
    """Asks the crawl's own middleware, so that pages and what the browser loads obey the same rules."""

    async def allowed(url: str) -> bool:
        middleware = crawler.get_downloader_middleware(RobotsMiddleware)
        if middleware is None:
            raise RuntimeError("robots.txt is not obeyed: the middleware is missing")
        parser = await middleware.robot_parser(Request(url))
        return parser is None or bool(parser.allowed(url, user_agent))

    return allowed
