"""Chromium through Playwright: what a page request carries so that it is rendered, and what is captured from it."""

import asyncio
import os
import time
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError  # noqa: TID253 - only spiders that need a browser import this file
from scrapy.settings.default_settings import RETRY_EXCEPTIONS  # noqa: TID253
from scrapy_playwright.page import PageMethod

from crawlers.config import CrawlConfig
from curation.images import MAX_BYTES

_READY_SECONDS: Final = 15.0
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
        "PLAYWRIGHT_LAUNCH_OPTIONS": {
            "executable_path": str(config.browser),
            "headless": True,
            "args": arguments,
            "handle_sigint": False,  # the crawl ends its browser itself
            "handle_sigterm": False,
        },
        "PLAYWRIGHT_CONTEXTS": {"default": {"service_workers": "block", "accept_downloads": False}},
        "PLAYWRIGHT_MAX_PAGES_PER_CONTEXT": config.pages,
        "PLAYWRIGHT_DEFAULT_NAVIGATION_TIMEOUT": config.timeout * 1000,
        "RETRY_EXCEPTIONS": [*RETRY_EXCEPTIONS, PlaywrightError],
        "PLAYWRIGHT_ABORT_REQUEST": "crawlers.policy.abort",
    }


class Capture:
    """Collects the original pictures that one page loads by itself."""

    def __init__(self) -> None:
        self.pictures: dict[str, bytes] = {}
        self._reading: set[asyncio.Task[None]] = set()

    def on_response(self, response: Any) -> None:
        """Page event handler."""
        if response.request.resource_type == "image" and response.status == 200 and not urlsplit(response.url).query:
            task = asyncio.ensure_future(self._read(response))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

    async def settle(self) -> None:
        """Wait for the bodies that are still coming."""
        if self._reading:
            await asyncio.wait(self._reading, timeout=_READY_SECONDS)

    async def _read(self, response: Any) -> None:
        try:
            body = await response.body()
        except PlaywrightError:
            return  # the page closed before the body came; the picture is fetched by itself then
        if len(body) <= MAX_BYTES:
            self.pictures[response.url] = body


def post_request(ready: str, capture: Capture) -> dict[str, Any]:
    """Request meta: render, wait until `ready` is there, capture originals."""
    return _meta({"response": capture.on_response}, [PageMethod(_wait_for, ready, capture)])


def listing_request(cards: str, wait: float) -> dict[str, Any]:
    """Request meta: render and scroll until, for `wait` seconds, no card came and the page asked for nothing."""
    asking: set[int] = set()
    handlers = {
        "request": lambda request: asking.add(id(request)) if request.resource_type in _DATA else None,
        "requestfinished": lambda request: asking.discard(id(request)),
        "requestfailed": lambda request: asking.discard(id(request)),
    }
    return _meta(handlers, [PageMethod(_scroll, cards, wait, asking)])


def _meta(handlers: dict[str, Any], methods: list[PageMethod]) -> dict[str, Any]:
    return {
        "playwright": True,
        "playwright_page_event_handlers": handlers,
        "playwright_page_methods": methods,
        "playwright_page_goto_kwargs": {"wait_until": "domcontentloaded"},
    }


async def _wait_for(page: Any, ready: str, capture: Capture) -> None:
    try:
        await page.wait_for_selector(ready, state="attached", timeout=_READY_SECONDS * 1000)
    except PlaywrightError:
        return  # the page object says what is missing
    await capture.settle()


async def _scroll(page: Any, cards: str, wait: float, asking: set[int]) -> None:
    most, quiet_since = -1, time.monotonic()
    while most < _MAX_CARDS and time.monotonic() - quiet_since < wait:
        count = await page.evaluate(_NUDGE, cards)
        if count > most or asking:
            most, quiet_since = max(count, most), time.monotonic()
        await asyncio.sleep(_NUDGE_SECONDS)
