"""robots.txt that cannot be read forbids everything; one that is not there forbids nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request, Spider  # noqa: TID253 - a test of a Scrapy middleware
from scrapy.exceptions import IgnoreRequest  # noqa: TID253
from scrapy.http import Response  # noqa: TID253
from scrapy.utils.test import get_crawler  # noqa: TID253

from crawlers.errors import RobotsError
from crawlers.robots import RobotsMiddleware, robots_of
from sandbox.sites.server import ServeOptions, serving
from tests.crawlers.commands import content, crawl, hits, ledger
from tests.crawlers.shops import Shops, open_shops
from tests.sandbox.tiny import tiny_world

RULES = b"User-agent: *\nDisallow: /my\n"


class Engine:
    """Answers a request for robots.txt with a status, or breaks."""

    def __init__(self, answer: int | Exception) -> None:
        self._answer = answer

    async def download_async(self, request: Request) -> Response:
        assert request.url == "http://shop.test/robots.txt"
        await asyncio.sleep(0)
        if isinstance(self._answer, Exception):
            raise self._answer
        return Response(request.url, status=self._answer, body=RULES)


def crawler_of(answer: int | Exception) -> Any:
    crawler: Any = get_crawler(Spider, {"ROBOTSTXT_OBEY": True})
    crawler.engine = Engine(answer)
    return crawler


def may(answer: int | Exception, path: str) -> bool:
    """Whether a page and what a browser loads may be asked for; both ways agree. Raises what the middleware raises."""
    crawler, url = crawler_of(answer), f"http://shop.test{path}"
    middleware = RobotsMiddleware(crawler)
    crawler.get_downloader_middleware = lambda kind: middleware if kind is RobotsMiddleware else None

    async def ask() -> bool:
        by_browser = await robots_of(crawler, "me")(url)
        try:
            await middleware.process_request(Request(url))
        except IgnoreRequest:
            assert not by_browser
            return False
        except RobotsError:
            assert not by_browser
            raise
        assert by_browser
        return True

    return asyncio.run(ask())


@pytest.mark.parametrize("answer", [500, 503, 429, 520, OSError("lost"), TimeoutError()])
def test_robots__unreadable_forbids_everything(answer: int | Exception) -> None:
    said = f"HTTP {answer}" if isinstance(answer, int) else type(answer).__name__
    with pytest.raises(RobotsError, match=rf"robots\.txt of shop\.test cannot be read \({said}\)"):
        may(answer, "/social/posts/1")


@pytest.mark.parametrize("answer", [403, 404, 410, IgnoreRequest("redirected too often")])
def test_robots__absent_forbids_nothing(answer: int | Exception) -> None:
    assert may(answer, "/my")  # its body is an error page, not rules


def test_robots__rules_are_obeyed() -> None:
    assert may(200, "/social/posts/1")
    assert not may(200, "/my")


@pytest.mark.parametrize(("answer", "error"), [(200, IgnoreRequest), (500, RobotsError)])
def test_robots__hold_for_all_requests_that_wait_for_them(answer: int, error: type[Exception]) -> None:
    middleware = RobotsMiddleware(crawler_of(answer))

    async def ask() -> list[Any]:
        requests = [middleware.process_request(Request(f"http://shop.test/my/{n}")) for n in range(8)]
        return await asyncio.gather(*requests, return_exceptions=True)

    assert [type(outcome) for outcome in asyncio.run(ask())] == [error] * 8


def test_robots__are_read_anew_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("crawlers.robots.time.monotonic", lambda: clock[0])
    crawler = crawler_of(404)
    middleware = RobotsMiddleware(crawler)

    def allowed() -> bool:
        parser = asyncio.run(middleware.robot_parser(Request("http://shop.test/my")))
        return parser is None or bool(parser.allowed("http://shop.test/my", "me"))

    assert allowed()
    crawler.engine = Engine(200)  # from now on there are rules
    clock[0] += 86_000
    assert allowed()
    clock[0] += 1_000
    assert not allowed()


def test_kream__robots_that_answers_500_ends_the_crawl_and_says_why(tmp_path: Path) -> None:
    with serving(tiny_world(3)) as server:
        crawl("kream", server.urls["kream"], tmp_path)
        before, states = content(tmp_path, "kream"), ledger(tmp_path, "kream")
    with serving(tiny_world(4), ServeOptions(paths={"/robots.txt": "500"})) as server:
        answer = crawl("kream", server.urls["kream"], tmp_path, "--retries", "0", "--refresh", code=1)
        assert hits(server, "kream") == {}
    assert "cannot be read (HTTP 500), so nothing may be asked of this host" in answer["error"]
    assert "ask its operator" in answer["error"]
    assert (content(tmp_path, "kream"), ledger(tmp_path, "kream")) == (before, states)


def test_29cm_catalog__robots_that_answers_500_ends_the_crawl_and_says_why(tmp_path: Path) -> None:
    shops = Shops(products={"270100100": [1]}, robots=500)
    with open_shops(shops) as url:
        answer = crawl("29cm-catalog", url, tmp_path, "--retries", "0", "--browser", "/none", code=1)
    assert "29cm-catalog: stopped (robots.txt of 127.0.0.1" in answer["error"]
    assert shops.hits == {}
