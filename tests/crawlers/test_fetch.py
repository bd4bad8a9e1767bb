"""How pictures are fetched when several posts want the same one."""

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import cast

from scrapy import Request  # noqa: TID253 - crawling is what is tested
from scrapy.crawler import Crawler  # noqa: TID253
from scrapy.http import Response  # noqa: TID253

from crawlers.fetch import Broken, Fetcher
from crawlers.progress import Progress
from tests.sandbox.tiny import tiny_world

URL = "http://shop.test/1.jpg"


class Engine:
    """Answers every request with the same picture, and remembers what it was asked."""

    def __init__(self) -> None:
        self.spider = object()
        self.asked: list[str] = []

    async def download_async(self, request: Request) -> Response:
        self.asked.append(request.url)
        await asyncio.sleep(0)
        return Response(request.url, body=tiny_world(1).thumbnail("kream", 1))


def asked_by(scenario: Callable[[Fetcher], Coroutine[None, None, None]]) -> list[str]:
    """URLs that a fetcher asked for during the scenario; its staging file knows nothing, as before any commit."""
    engine = Engine()
    fetcher = Fetcher(
        cast(Crawler, SimpleNamespace(engine=engine)), known=lambda _: None, progress=Progress("kream", every=100)
    )
    asyncio.run(scenario(fetcher))
    return engine.asked


def test_picture__two_posts_at_once_share_one_request() -> None:
    async def scenario(fetcher: Fetcher) -> None:
        first, second = await asyncio.gather(fetcher.picture(URL), fetcher.picture(URL))
        assert first is second

    assert asked_by(scenario) == [URL]


def test_picture__fetched_but_not_yet_committed_is_not_fetched_again() -> None:
    async def scenario(fetcher: Fetcher) -> None:
        first = await fetcher.picture(URL)  # its post still waits for other pictures
        assert await fetcher.picture(URL) is first

    assert asked_by(scenario) == [URL]


def test_picture__is_let_go_with_the_last_post_that_holds_it() -> None:
    async def scenario(fetcher: Fetcher) -> None:
        await fetcher.picture(URL)
        await asyncio.sleep(0)  # the loop itself holds the last result until its next turn
        await fetcher.picture(URL)

    assert asked_by(scenario) == [URL, URL]


def test_close__pictures_under_way_are_given_up() -> None:
    async def scenario(fetcher: Fetcher) -> None:
        post = asyncio.create_task(fetcher.picture(URL))
        await asyncio.sleep(0)
        post.cancel()  # alone it would leave the picture under way
        fetcher.close()
        await asyncio.gather(post, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    assert asked_by(scenario) == []


def test_broken__says_no_more_than_the_ledger_takes() -> None:
    assert Broken.by(RuntimeError("x" * 1000)) == Broken("RuntimeError", "x" * 300)
