"""What the browser may reach, and that it is renewed."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from playwright.async_api import Error as PlaywrightError  # noqa: TID253 - the browser is what is tested

from crawlers import browser
from crawlers.config import make_config
from crawlers.errors import PageError
from crawlers.policy import Policy, activate
from sandbox.sites.faults import _PLACES
from sandbox.sites.server import ServeOptions, Server, serving
from tests.crawlers.commands import hits
from tests.sandbox.tiny import tiny_world


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A sandbox on this machine, to which every name leads."""
    with serving(tiny_world(1)) as running:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        yield running


async def reached(url: str) -> str:
    """What a browser, started as a crawl starts it, finds at an address: its text, or the error."""
    options = browser.settings(make_config(kind="onthelook", out="/none"))["PLAYWRIGHT_LAUNCH_OPTIONS"]
    provider = browser.LateBrowser(SimpleNamespace(browser_type_name="chromium", launch_options=options))
    chromium = await provider.launch_browser()
    try:
        page = await chromium.new_page()
        await page.goto(url)
        return str(await page.content())
    except PlaywrightError as error:
        return error.message
    finally:
        await chromium.close()
        await provider.close()


@pytest.mark.browser
@pytest.mark.parametrize(("host", "found"), [("shop.test", "User-agent"), ("localhost", "ERR_NAME_NOT_RESOLVED")])
def test_launch_browser__resolves_only_what_was_looked_up(server: Server, host: str, found: str) -> None:
    activate(Policy(frozenset({"shop.test"}), allow_private=True))
    port = server.urls["kream"].rpartition(":")[2]
    assert found in asyncio.run(reached(f"http://{host}:{port}/robots.txt"))


@pytest.mark.browser
def test_launch_browser__name_that_leads_inside_leads_nowhere(server: Server) -> None:
    activate(Policy(frozenset({"shop.test"}), allow_private=False))
    port = server.urls["kream"].rpartition(":")[2]
    assert "ERR_NAME_NOT_RESOLVED" in asyncio.run(reached(f"http://shop.test:{port}/robots.txt"))
    assert hits(server, "kream") == {}


async def asked_without_a_route(url: str, *paths: str) -> None:
    """Show a page as scrapy-playwright leaves it between two posts, and let it ask for pictures."""
    options = browser.settings(make_config(kind="kream", out="/none"))["PLAYWRIGHT_LAUNCH_OPTIONS"]
    provider = browser.LateBrowser(SimpleNamespace(browser_type_name="chromium", launch_options=options))
    chromium = await provider.launch_browser()
    page = await chromium.new_page()
    begin = browser.Tab("tab").post(".ready")["playwright_page_init_callback"]
    await begin(page, None)
    await page.goto(url)
    asks = "path => new Promise(done => Object.assign(new Image(), {onload: done, onerror: done, src: path}))"
    for path in paths:
        await page.evaluate(asks, path)
    await chromium.close()
    await provider.close()


@pytest.mark.browser
def test_tab__target_of_a_redirect_is_asked_for_only_if_the_policy_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def allowed(url: str) -> bool:
        return "/bridge/" not in url

    policy = Policy(frozenset({"shop.test"}), allow_private=True)
    policy.ask_robots(allowed)
    activate(policy)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    faults = {"/images/a.jpg": "redirect-forbidden", "/images/b.jpg": "redirect-allowed"}
    monkeypatch.setitem(_PLACES, "redirect-allowed", b"/images/c.jpg")
    with serving(tiny_world(1), ServeOptions(paths=faults)) as server:
        port = server.urls["kream"].rpartition(":")[2]
        asyncio.run(asked_without_a_route(f"http://shop.test:{port}/robots.txt", *faults))
        assert hits(server, "kream") == {"robots": 1, "original": 1}


@pytest.mark.browser
def test_tab__obeys_the_policy_between_two_posts(server: Server) -> None:
    activate(Policy(frozenset({"shop.test"}), allow_private=True))
    port = server.urls["kream"].rpartition(":")[2]
    pictures = ("/images/a.jpg", "/images/a.jpg?type=m", "/images/b.jpg?w=200")
    asyncio.run(asked_without_a_route(f"http://shop.test:{port}/robots.txt", *pictures))
    assert hits(server, "kream") == {"robots": 1, "original": 1}


def scrolled(*polls: tuple[int, int | None]) -> None:
    """Scroll a listing that shows so many cards at each poll and, right after it, has a request answered so."""
    tab, left = browser.Tab("tab"), list(polls)

    async def evaluate(*_: object) -> int:
        cards, status = left.pop(0) if len(left) > 1 else (left[0][0], None)
        if status is not None:
            request = SimpleNamespace(resource_type="fetch")
            tab._on_response(SimpleNamespace(request=request, status=status, url="http://shop.test/more"))
        return cards

    asyncio.run(tab._scroll(SimpleNamespace(evaluate=evaluate), ".card", 0.5))


@pytest.mark.parametrize("status", [403, 429, 503])
def test_tab__listing_whose_last_request_was_refused_is_not_whole(status: int) -> None:
    with pytest.raises(PageError, match=f"the listing is cut at http://shop.test/more: HTTP {status}"):
        scrolled((10, 200), (20, status), (20, 200))


@pytest.mark.parametrize("polls", [((10, 503), (10, 200), (20, 404), (20, 200)), ((10, 200), (10, 401))])
def test_tab__listing_that_got_its_cards_in_the_end_is_whole(polls: tuple[tuple[int, int]]) -> None:
    scrolled(*polls)


def test_tab__request_that_got_no_answer_cuts_a_listing_and_one_that_was_not_sent_does_not() -> None:
    tab = browser.Tab("tab")
    for failure in ("net::ERR_FAILED", "net::ERR_ABORTED", "net::ERR_EMPTY_RESPONSE"):
        tab._on_failed(Mock(resource_type="fetch", failure=failure, url="http://shop.test/more"))
    assert tab._unanswered == ["http://shop.test/more: net::ERR_EMPTY_RESPONSE"]


class Closing:
    """A context or a browser that notes when it is closed."""

    def __init__(self, log: list[str], name: str, **more: Any) -> None:
        self._log, self._name = log, name
        self.__dict__ |= more

    async def close(self) -> None:
        self._log.append(self._name)


def test_tabs__pages_and_browser_are_renewed() -> None:
    log: list[str] = []
    chromium = Closing(log, "browser")

    async def post(tabs: browser.Tabs) -> None:
        async with tabs.one() as tab:
            request = tab.post(".ready")
            session = SimpleNamespace(on=lambda *_: None, send=lambda *_: asyncio.sleep(0))
            connect = {"new_cdp_session": lambda _: asyncio.sleep(0, session)}
            context = Closing(log, "page", browser=chromium, route=lambda *_: asyncio.sleep(0), **connect)
            page = SimpleNamespace(context=context, on=lambda *_: None)
            await request["playwright_page_init_callback"](request.get("playwright_page", page), None)
            await asyncio.sleep(0)
            await tab.end(failed=False)

    async def crawl() -> None:
        tabs = browser.Tabs(2, uses_per_page=4, uses_per_browser=10)
        for _ in range(6):
            await asyncio.gather(*(post(tabs) for _ in range(2)))

    asyncio.run(crawl())
    assert log == ["page", "page", "page", "page", "browser"]


def test_settings__an_answer_that_nobody_waits_for_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    browser.settings(make_config(kind="onthelook", out="/none"))

    async def listeners() -> None:
        async def listen(error: Exception) -> None:
            raise error

        for error in (PlaywrightError("page has been closed"), ValueError("of our own")):
            task = asyncio.ensure_future(listen(error))
            await asyncio.wait({task})
            del task  # asyncio says that nobody took its exception

    asyncio.run(listeners())
    gc.collect()
    assert "of our own" in caplog.text
    assert "has been closed" not in caplog.text


def test_on_listener_error__closed_page_is_silent_and_a_fault_is_told(caplog: pytest.LogCaptureFixture) -> None:
    browser._on_listener_error(PlaywrightError("Response.all_headers: Target page, context or browser has been closed"))
    assert caplog.text == ""
    browser._on_listener_error(KeyError("headers"))
    assert "a listener of a page failed" in caplog.text
