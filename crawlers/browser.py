"""Chromium through Playwright: what a page request carries so that it is rendered, and what is captured from it."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError  # noqa: TID253 - only spiders that need a browser import this file
from scrapy.settings.default_settings import RETRY_EXCEPTIONS  # noqa: TID253
from scrapy_playwright.page import PageMethod
from scrapy_playwright.provider import PlaywrightBrowserProvider

from crawlers.config import CrawlConfig
from crawlers.errors import PageError
from crawlers.policy import BLOCKED, abort, host_rules, redirect_refusal
from curation.images import MAX_BYTES

_READY_SECONDS: Final = 15.0
_USES_PER_PAGE: Final = 50  # pages gather memory
_USES_PER_BROWSER: Final = 1000  # so do browsers, and a site's addresses may change
_DATA: Final = frozenset({"xhr", "fetch", "script"})
"""Requests by which a page gets more cards."""
_REFUSALS: Final = frozenset({403, 429})  # and 500 and above; other answers may well be the end of a listing
_NOT_SENT: Final = frozenset({"net::ERR_ABORTED", "net::ERR_FAILED", f"net::{BLOCKED}"})
"""How requests end that the page itself or the policy cut off."""
_APPEARS: Final = """([selector, most]) => new Promise(done => {
  const watch = new MutationObserver(() => document.querySelector(selector) && done(true));
  watch.observe(document, { attributes: true, childList: true, subtree: true });
  setTimeout(done, most, false);
  if (document.querySelector(selector)) done(true);
})"""
"""Whether something that matches comes within so many milliseconds. Playwright's own wait compiles its whole selector
engine anew in every page, which costs as much as the page itself."""
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
_PAUSE: Final = 0.1  # s
_MAX_CARDS: Final = 5_000  # an endless page ends here


def settings(config: CrawlConfig) -> dict[str, Any]:
    """Scrapy settings that bring Chromium in."""
    handler = "scrapy_playwright.handler.ScrapyPlaywrightDownloadHandler"
    arguments = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-gpu",
        "--disable-gpu-compositing",  # nobody looks: pages need not be put together into a picture
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to start as root with its sandbox
    logging.getLogger("asyncio").addFilter(_somebody_waits)
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
        "RETRY_EXCEPTIONS": [*RETRY_EXCEPTIONS, PlaywrightError, PageError],
        "PLAYWRIGHT_ABORT_REQUEST": "crawlers.policy.abort",
    }


def _somebody_waits(record: logging.LogRecord) -> bool:
    """False of what asyncio says of an answer that nobody waits for any more, since its page was closed.

    scrapy-playwright asks for the headers of every response: a crawl that is stopped would end with a traceback.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], PlaywrightError))


async def _between_posts(route: Any, request: Any) -> None:
    """Hold to the policy where scrapy-playwright does not: it takes its route off a page before it puts on the next.

    What a page still loads then would leave as it is. A page's own route goes before this one of its context.
    """
    with contextlib.suppress(PlaywrightError):  # the page is closed by now
        await (route.abort() if await abort(request) else route.continue_())


class LateBrowser(PlaywrightBrowserProvider):  # type: ignore[misc] # ships no types
    """Starts Playwright when the first page is to be rendered: a crawl that only may need it mostly does not.

    Each browser is told the site's addresses, checked by the policy, and resolves no other name; a name that turns to a
    private address (DNS rebinding) leads nowhere, and what Chromium asks its maker's hosts for stays unasked.
    """

    async def start(self) -> None:
        """Called when the crawl begins: nothing yet."""

    async def launch_browser(self) -> Any:
        """Called when a page is rendered and no browser runs."""
        if self.playwright is None:
            await super().start()
        options = self.config.launch_options
        rules = f"--host-resolver-rules={await host_rules()}"
        return await self.browser_type.launch(**{**options, "args": [*options["args"], rules]})


class Tab:
    """A browser page that shows one post after another, since a new page costs more than a post; and its captures."""

    def __init__(self, name: str, uses: int = _USES_PER_PAGE) -> None:
        self._name = name
        self._uses = self._left = uses
        self.pictures: dict[str, bytes] = {}
        """Original pictures that the latest post loaded by itself: address → bytes."""
        self._page: Any = None
        self._asking: set[Any] = set()
        self._unanswered: list[str] = []
        """What the page asked for after its last cards and did not get."""
        self._refusals: list[str] = []
        """Why targets of redirects were not asked for."""
        self._reading: set[asyncio.Task[None]] = set()

    def post(self, ready: str) -> dict[str, Any]:
        """Request meta: render, and wait until something that matches `ready` is there."""
        return self._request(PageMethod(self._wait_for, ready))

    def listing(self, cards: str, wait: float) -> dict[str, Any]:
        """Request meta: render and scroll until, for `wait` seconds, no card came and the page asked for nothing.

        Fails with `PageError` when what the page asked for after its last cards was refused or got no answer.
        """
        return self._request(PageMethod(self._scroll, cards, wait))

    async def end(self, *, failed: bool) -> None:
        """Keep the page for the next post, unless it failed or is old."""
        self._left -= 1
        if failed or self._left <= 0:
            await self.close()

    async def close(self) -> Any:
        """Close the page, if there is one, and return its browser."""
        page, self._page = self._page, None
        if page is None:
            return None
        with contextlib.suppress(PlaywrightError):  # it may have crashed, which is why it is closed
            await page.context.close()
        return page.context.browser

    def _request(self, method: PageMethod) -> dict[str, Any]:
        self.pictures = {}
        meta = {
            "playwright": True,
            "autothrottle_dont_adjust_delay": True,  # rendering takes our time, not the site's; its pictures tell that
            # Pages of one context share a window, in which only the front one is drawn at full speed.
            "playwright_context": self._name,
            "playwright_context_kwargs": {"service_workers": "block", "accept_downloads": False},
            "playwright_include_page": True,
            "playwright_page_init_callback": self._begin,
            "playwright_page_methods": [method],
            "playwright_page_goto_kwargs": {"wait_until": "domcontentloaded"},
            "refusals": self._refusals,
        }
        return meta if self._page is None else meta | {"playwright_page": self._page}

    async def _begin(self, page: Any, _: Any) -> None:
        self._asking.clear()
        self._unanswered.clear()
        self._refusals.clear()
        if page is self._page:
            return
        await page.context.route("**", _between_posts)
        # Playwright's routes never see the target of a redirect.
        session = await page.context.new_cdp_session(page)
        session.on("Fetch.requestPaused", partial(self._on_paused, session))
        await session.send("Fetch.enable")
        page.on("response", self._on_response)
        page.on("request", self._on_request)
        page.on("requestfinished", self._on_answered)
        page.on("requestfailed", self._on_failed)
        page.on("error", _on_listener_error)
        self._page, self._left = page, self._uses

    async def _on_paused(self, session: Any, event: dict[str, Any]) -> None:
        reason = await redirect_refusal(event["request"]["url"]) if "redirectedRequestId" in event else None
        with contextlib.suppress(PlaywrightError):  # the page is closed by now, or elsewhere
            if reason is None:
                await session.send("Fetch.continueRequest", {"requestId": event["requestId"]})
                return
            self._refusals.append(reason)
            await session.send("Fetch.failRequest", {"requestId": event["requestId"], "errorReason": "BlockedByClient"})

    def _on_request(self, request: Any) -> None:
        if request.resource_type in _DATA:
            self._asking.add(request)

    def _on_answered(self, request: Any) -> None:
        self._asking.discard(request)

    def _on_failed(self, request: Any) -> None:
        self._asking.discard(request)
        if request.resource_type in _DATA and request.failure not in _NOT_SENT:
            self._unanswered.append(f"{request.url}: {request.failure}")

    def _on_response(self, response: Any) -> None:
        kind = response.request.resource_type
        if kind in _DATA and (response.status in _REFUSALS or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR):
            self._unanswered.append(f"{response.url}: HTTP {response.status}")
        if kind == "image" and response.status == 200 and not urlsplit(response.url).query:
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
        deadline = time.monotonic() + _READY_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(PlaywrightError):  # the page went elsewhere by itself: ask it there
                # The page's own clock may stand still, as in a script without end.
                if await asyncio.wait_for(page.evaluate(_APPEARS, [ready, left * 1000]), left + 1):
                    break
            await asyncio.sleep(_PAUSE)
        if self._reading:
            await asyncio.wait(self._reading, timeout=_READY_SECONDS)

    async def _scroll(self, page: Any, cards: str, wait: float) -> None:
        most, grew_at, quiet, refused = -1, time.monotonic(), 0.0, 0
        # A page that asks for something for ever, as a long poll does, does not hold up the crawl for ever.
        while most < _MAX_CARDS and (quiet < wait or (self._asking and quiet < _READY_SECONDS)):
            count = await asyncio.wait_for(page.evaluate(_NUDGE, cards), _READY_SECONDS)
            if count > most:
                most, grew_at = count, time.monotonic()
                del self._unanswered[:refused]  # before these cards came, so the page has asked again
            refused = len(self._unanswered)
            await asyncio.sleep(_PAUSE)
            quiet = time.monotonic() - grew_at
        if self._unanswered:
            raise PageError(f"the listing is cut at {self._unanswered[-1]}")


def _on_listener_error(error: BaseException) -> None:
    """Pass over what a listener raises on a page that is closed meanwhile; scrapy-playwright's do."""
    if not isinstance(error, PlaywrightError):
        logging.getLogger(__name__).error("a listener of a page failed", exc_info=error)


class Tabs:
    """As many tabs as may be open at one time.

    Args:
        count: how many.
        uses_per_page: pages that a tab shows before it is closed and opened anew.
        uses_per_browser: pages that all tabs show before the browser is.
    """

    def __init__(
        self, count: int, uses_per_page: int = _USES_PER_PAGE, uses_per_browser: int = _USES_PER_BROWSER
    ) -> None:
        self._tabs = [Tab(f"tab-{number}", uses_per_page) for number in range(count)]
        self._free: asyncio.LifoQueue[Tab] = asyncio.LifoQueue()
        self._left = self._uses = uses_per_browser
        self._put_back()

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[Tab]:
        """Wait for a free tab and use it."""
        tab = await self._free.get()
        try:
            yield tab
        finally:
            self._free.put_nowait(tab)
        self._left -= 1
        if self._left == 0:
            self._left = self._uses
            await self._renew()

    async def _renew(self) -> None:
        """Close the browser once all tabs are free; the next page starts another."""
        for _ in self._tabs:
            await self._free.get()
        try:
            for browser in {await tab.close() for tab in self._tabs} - {None}:
                await browser.close()
        finally:
            self._put_back()

    def _put_back(self) -> None:
        for tab in self._tabs:
            self._free.put_nowait(tab)
