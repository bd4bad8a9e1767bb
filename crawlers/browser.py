"""Chromium through Playwright: what a page request carries so that it is rendered, and what is captured from it."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError  # noqa: TID253 - only spiders that need a browser import this file
from scrapy.settings.default_settings import RETRY_EXCEPTIONS  # noqa: TID253
from scrapy_playwright.page import PageMethod
from scrapy_playwright.provider import PlaywrightBrowserProvider

from crawlers.config import CrawlConfig
from curation.images import MAX_BYTES

_READY_SECONDS: Final = 15.0
_USES_PER_PAGE: Final = 100
_DATA: Final = frozenset({"xhr", "fetch", "script"})
"""Requests by which a page gets more cards."""
_NUDGE: Final = """async selector => {
  const end = document.documentElement.scrollHeight;
  scrollTo(0, end - innerHeight - 50);
  await new Promise(requestAnimationFrame);
  scrollTo(0, end);
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return document.querySelectorAll(selector).length;
}"""
"""Scrolls to the end from a little above it and waits for frames: a page's scroll listeners and observers run in them,
and a page in the background may have only one frame a second."""
_NUDGE_SECONDS: Final = 0.1
_MAX_CARDS: Final = 5_000  # an endless page ends here


def settings(config: CrawlConfig, hosts: frozenset[str]) -> dict[str, Any]:
    """Scrapy settings that bring Chromium in."""
    handler = "scrapy_playwright.handler.ScrapyPlaywrightDownloadHandler"
    excluded = ", ".join(f"EXCLUDE {host}" for host in sorted(hosts))
    arguments = [
        # Chromium asks its maker's hosts for updates whatever the flags say: no name but the site's resolves.
        f"--host-resolver-rules=MAP * ~NOTFOUND, {excluded}",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-gpu",
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to start as root with its sandbox
    return {
        "DOWNLOAD_HANDLERS": {"http": handler, "https": handler},
        "PLAYWRIGHT_BROWSER_TYPE": "chromium",
        "PLAYWRIGHT_BROWSER_PROVIDER": LateBrowser,
        "PLAYWRIGHT_LAUNCH_OPTIONS": {
            "executable_path": str(config.browser),
            "headless": True,
            "args": arguments,
            "handle_sigint": False,  # the crawl ends its browser itself
            "handle_sigterm": False,
        },
        "PLAYWRIGHT_DEFAULT_NAVIGATION_TIMEOUT": config.timeout * 1000,
        "RETRY_EXCEPTIONS": [*RETRY_EXCEPTIONS, PlaywrightError],
        "PLAYWRIGHT_ABORT_REQUEST": "crawlers.policy.abort",
    }


class LateBrowser(PlaywrightBrowserProvider):  # type: ignore[misc] # ships no types
    """Starts Playwright when the first page is to be rendered: a crawl that only may need it mostly does not."""

    async def start(self) -> None:
        """Called when the crawl begins: nothing yet."""

    async def launch_browser(self) -> Any:
        """Called when a page is rendered and no browser runs."""
        if self.playwright is None:
            await super().start()
        return await super().launch_browser()


class Tab:
    """A browser page that shows one post after another, since a new page costs more than a post; and its captures."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.pictures: dict[str, bytes] = {}
        """Original pictures that the latest post loaded by itself: address → bytes."""
        self._page: Any = None
        self._uses = 0
        self._asking: set[Any] = set()
        self._reading: set[asyncio.Task[None]] = set()

    def post(self, ready: str) -> dict[str, Any]:
        """Request meta: render, and wait until something that matches `ready` is there."""
        return self._request(PageMethod(self._wait_for, ready))

    def listing(self, cards: str, wait: float) -> dict[str, Any]:
        """Request meta: render and scroll until, for `wait` seconds, no card came and the page asked for nothing."""
        return self._request(PageMethod(self._scroll, cards, wait))

    async def end(self, *, failed: bool) -> None:
        """Keep the page for the next post, unless it failed or is old: pages gather memory."""
        self._uses += 1
        if self._page is None or not (failed or self._uses % _USES_PER_PAGE == 0):
            return
        page, self._page = self._page, None
        with contextlib.suppress(PlaywrightError):  # it may have crashed, which is why it is closed
            await page.context.close()

    def _request(self, method: PageMethod) -> dict[str, Any]:
        self.pictures = {}
        self._asking.clear()
        meta = {
            "playwright": True,
            # Pages of one context share a window, in which only the front one is drawn at full speed.
            "playwright_context": self._name,
            "playwright_context_kwargs": {"service_workers": "block", "accept_downloads": False},
            "playwright_include_page": True,
            "playwright_page_init_callback": self._begin,
            "playwright_page_methods": [method],
            "playwright_page_goto_kwargs": {"wait_until": "domcontentloaded"},
        }
        return meta if self._page is None else meta | {"playwright_page": self._page}

    async def _begin(self, page: Any, _: Any) -> None:
        if page is self._page:
            return
        self._page = page
        page.on("response", self._on_response)
        page.on("request", self._on_request)
        page.on("requestfinished", self._on_answered)
        page.on("requestfailed", self._on_answered)

    def _on_request(self, request: Any) -> None:
        if request.resource_type in _DATA:
            self._asking.add(request)

    def _on_answered(self, request: Any) -> None:
        self._asking.discard(request)

    def _on_response(self, response: Any) -> None:
        if response.request.resource_type == "image" and response.status == 200 and not urlsplit(response.url).query:
            task = asyncio.ensure_future(self._read(response))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

    async def _read(self, response: Any) -> None:
        try:
            body = await response.body()
        except PlaywrightError:
            return  # the page went on before the body came; the picture is fetched by itself then
        if len(body) <= MAX_BYTES:
            self.pictures[response.url] = body

    async def _wait_for(self, page: Any, ready: str) -> None:
        try:
            await page.wait_for_selector(ready, state="attached", timeout=_READY_SECONDS * 1000)
        except PlaywrightError:
            return  # the page object says what is missing
        if self._reading:
            await asyncio.wait(self._reading, timeout=_READY_SECONDS)

    async def _scroll(self, page: Any, cards: str, wait: float) -> None:
        most, grew_at, quiet = -1, time.monotonic(), 0.0
        # A page that asks for something for ever, as a long poll does, does not hold up the crawl for ever.
        while most < _MAX_CARDS and (quiet < wait or (self._asking and quiet < _READY_SECONDS)):
            count = await page.evaluate(_NUDGE, cards)
            if count > most:
                most, grew_at = count, time.monotonic()
            await asyncio.sleep(_NUDGE_SECONDS)
            quiet = time.monotonic() - grew_at


class Tabs:
    """As many tabs as may be open at one time."""

    def __init__(self, count: int) -> None:
        self._free: asyncio.LifoQueue[Tab] = asyncio.LifoQueue()
        for number in range(count):
            self._free.put_nowait(Tab(f"tab-{number}"))

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[Tab]:
        """Wait for a free tab and use it."""
        tab = await self._free.get()
        try:
            yield tab
        finally:
            self._free.put_nowait(tab)
