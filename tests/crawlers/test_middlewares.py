"""How long a host is left alone that asks for it."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scrapy import Request  # noqa: TID253 - a test of a Scrapy middleware
from scrapy.exceptions import IgnoreRequest  # noqa: TID253
from scrapy.http import Response  # noqa: TID253
from scrapy.utils.test import get_crawler  # noqa: TID253
from starlette.requests import Request as Asked
from starlette.responses import PlainTextResponse
from starlette.responses import Response as Answer

from crawlers.config import make_config
from crawlers.errors import HostPausedError, PageError
from crawlers.middlewares import BackOffMiddleware
from crawlers.progress import Progress
from crawlers.spiders.base import WorkSpider
from sandbox.sites.server import ServeOptions, serving
from tests.crawlers.commands import content, crawl, ledger
from tests.crawlers.shops import Shops, open_shops
from tests.sandbox.tiny import tiny_world

URL = "http://shop.test/1"


@pytest.fixture
def back_off(tmp_path: Path) -> BackOffMiddleware:
    crawler: Any = get_crawler(
        WorkSpider, {"RETRY_TIMES": 1, "RETRY_HTTP_CODES": [503], "RETRY_EXCEPTIONS": [PageError]}
    )
    crawler.spider = WorkSpider(make_config(kind="kream", out=tmp_path), Progress("kream", every=100))
    crawler.spider.crawler = crawler
    crawler.engine = SimpleNamespace(downloader=SimpleNamespace(slots={}))  # nothing waits for its turn
    return BackOffMiddleware.from_crawler(crawler)


def answered(back_off: BackOffMiddleware, asked: int | None, status: int = 503, tried: int = 0) -> Request | Response:
    headers = {} if asked is None else {"Retry-After": str(asked)}
    request = Request(URL, meta={"retry_times": tried})
    return back_off.process_response(request, Response(URL, status=status, headers=headers))


def test_back_off__page_that_was_refused_a_part_pauses_its_host_and_one_that_led_elsewhere_is_not_retried(
    back_off: BackOffMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(URL, meta={"refusals": ["forbidden by robots.txt"]})
    with pytest.raises(IgnoreRequest, match="forbidden by robots"):
        back_off.process_exception(request, RuntimeError("Page.goto: net::ERR_BLOCKED_BY_CLIENT"))
    assert isinstance(back_off.process_exception(request, PageError("cut")), Request)
    assert 0.4 < waited(back_off, monkeypatch) < 0.6


def waited(back_off: BackOffMiddleware, monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds that the next request to the host waits."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    clock = [time.monotonic()]
    monkeypatch.setattr("crawlers.middlewares.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("crawlers.middlewares.asyncio.sleep", sleep)
    asyncio.run(back_off.process_request(Request("http://shop.test/2")))
    return sum(slept)


def test_back_off__waits_as_long_as_asked_then_retries(
    back_off: BackOffMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(answered(back_off, 100), Request)
    assert waited(back_off, monkeypatch) == pytest.approx(100, abs=1)


def test_back_off__doubles_up_to_what_a_crawl_waits(
    back_off: BackOffMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(back_off, None, tried=20)  # as many as may be configured: half a second 20 times doubled is six days
    assert waited(back_off, monkeypatch) == pytest.approx(120, abs=1)


def test_back_off__a_short_pause_does_not_end_a_long_one(
    back_off: BackOffMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(back_off, 100)
    answered(back_off, 1)
    assert waited(back_off, monkeypatch) == pytest.approx(100, abs=1)


@pytest.mark.parametrize(("asked", "seconds"), [(100, 100), (None, 1)])
def test_back_off__busy_host_is_paused_after_the_last_attempt_too(
    back_off: BackOffMiddleware, monkeypatch: pytest.MonkeyPatch, asked: int | None, seconds: float
) -> None:
    assert isinstance(answered(back_off, asked, tried=1), Response)
    assert waited(back_off, monkeypatch) == pytest.approx(seconds, abs=0.5)


def test_back_off__asked_for_longer_than_it_waits_stops_the_crawl(back_off: BackOffMiddleware) -> None:
    assert isinstance(answered(back_off, 3600), Response)
    spider: Any = back_off.crawler.spider
    assert spider.stopped == "shop.test asks to be left alone for 3600 s"
    with pytest.raises(HostPausedError, match=r"shop\.test asks to be left alone for 3\d\d\d s more"):
        asyncio.run(back_off.process_request(Request(URL)))
    asyncio.run(back_off.process_request(Request("http://other.test/1")))


def test_kream__retry_after_an_hour_is_obeyed_and_the_crawl_resumes(tmp_path: Path) -> None:
    options = ("--browser", "/none", "--concurrency", "1")
    with serving(tiny_world(9), ServeOptions(paths={"/social/posts/3": "503"}, retry_after=3600)) as server:
        begun = time.monotonic()
        answer = crawl("kream", server.urls["kream"], tmp_path, *options, "--max-posts", "9", code=1)
        assert time.monotonic() - begun < 60
        assert server.faults["kream"].served["503"] == 1
    assert "asks to be left alone for 3600 s); run again to resume" in answer["error"]
    with serving(tiny_world(9)) as server:
        crawl("kream", server.urls["kream"], tmp_path, *options)
        crawl("kream", server.urls["kream"], tmp_path, *options, "--retry-failed", "--retry-wait", "0")
        crawl("kream", server.urls["kream"], tmp_path / "whole", *options)
    assert set(ledger(tmp_path, "kream").values()) == {"done"}
    assert content(tmp_path, "kream") == content(tmp_path / "whole", "kream")


class Busy(Shops):
    """Takes its time for a picture, and answers the fifth with 429."""

    def __init__(self) -> None:
        super().__init__(products={"270100100": list(range(1, 31))})
        self.at: list[float] = []
        self.open = self.most_open = 0

    async def _picture(self, request: Asked) -> Answer:
        self.at.append(time.monotonic())
        if len(self.at) == 5:
            return PlainTextResponse("later", 429, {"Retry-After": "2"})
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0.05)
        self.open -= 1
        return await super()._picture(request)


@pytest.mark.parametrize("delay", ["0", "0.02"])
def test_29cm_catalog__retry_after_holds_what_waits_for_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delay: str
) -> None:
    monkeypatch.setattr("tests.crawlers.shops.LISTING_PAGE", 30)  # all pictures are asked for at once
    busy = Busy()
    with open_shops(busy) as url:
        options = ("--browser", "/none", "--concurrency", "3", "--delay", delay)
        assert crawl("29cm-catalog", url, tmp_path, *options)["kept"] == 30
    assert busy.most_open <= 3
    waited = [at - busy.at[4] for at in busy.at[5:]]
    assert len([seconds for seconds in waited if seconds < 1.9]) <= 2  # on their way already
