"""One visit of a post: whatever goes wrong in it, the ledger says so and the crawl goes on."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scrapy import Request  # noqa: TID253 - crawling is what is tested
from scrapy.crawler import Crawler  # noqa: TID253
from scrapy.http import HtmlResponse  # noqa: TID253

from crawlers.config import make_config
from crawlers.exclusions import Exclusions
from crawlers.fetch import Fetcher
from crawlers.pages.base import PostPage
from crawlers.pages.kream import KreamPages
from crawlers.progress import Progress
from crawlers.rows import LedgerEntry, PostResult
from crawlers.shards import export_posts, read_ledger
from crawlers.spiders.posts import PostSpider, log
from crawlers.staging import Staging
from curation.reasons import PostState


class Surprising(KreamPages):
    """Cannot read post 2, for a reason that nobody foresaw; the others have no photo."""

    def parse_post(self, html: str, post_id: int) -> PostPage:
        if post_id == 2:
            raise RuntimeError(f"no idea\nwhat {html} \ud83d is")
        return PostPage((), (), None, ai_made=False)


class Engine:
    """Answers every request with the same page."""

    def __init__(self) -> None:
        self.spider: object | None = object()

    async def download_async(self, request: Request) -> HtmlResponse:
        return HtmlResponse(request.url, body=b"this", encoding="utf-8")


def visit(folder: Path, engine: Engine, *posts: int) -> dict[int, tuple[Any, ...]]:
    """Visit posts as a block does; gives what is staged of each."""
    progress = Progress("kream", every=100)
    spider = PostSpider(Surprising(), make_config(kind="kream", out=folder), progress, Exclusions("kream", []))
    spider._staging = Staging(folder / "block.sqlite")
    spider.fetcher = Fetcher(cast(Crawler, SimpleNamespace(engine=engine)), lambda _: None, progress)

    try:
        asyncio.run(spider.each(posts, spider._post, limit=1))
    finally:
        staged = spider._staging.entries()
    return {post_id: (str(entry.state), entry.reason, entry.message) for post_id, entry in staged.items()}


def test_post__error_that_nobody_foresaw_fails_this_post_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # No further than `caplog`: half a character has no bytes, which reports of tests run side by side are sent as.
    monkeypatch.setattr(log, "propagate", False)
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    assert visit(tmp_path, Engine(), 1, 2, 3) == {
        1: ("empty", "no_photo", None),
        2: ("failed", "RuntimeError", "no idea what this � is"),
        3: ("empty", "no_photo", None),
    }
    assert "Traceback" in caplog.text


def test_post__error_after_the_engine_stopped_is_no_state_of_a_post(tmp_path: Path) -> None:
    engine = Engine()
    engine.spider = None
    with pytest.raises(RuntimeError, match="no idea"):
        visit(tmp_path, engine, 1, 2, 3)
    assert list(Staging(tmp_path / "block.sqlite").entries()) == [1]


@pytest.mark.parametrize("rows", [0, 3])
def test_in_thread__stop_ends_it_and_what_is_staged_stays(tmp_path: Path, rows: int) -> None:
    spider = PostSpider(KreamPages(), make_config(kind="kream", out=tmp_path), Progress("kream", 1), Exclusions("", []))
    staging = Staging(tmp_path / "block.sqlite")
    staging.commit(PostResult(LedgerEntry(1, PostState.EMPTY, "no_tag")))
    written: list[int] = []

    def export(out: Path, name: str, staging: Staging, on_rows: Callable[[], None]) -> None:
        for number in range(rows):
            on_rows()
            spider.stop("SIGTERM")
            written.append(number)
        export_posts(out, name, staging, on_rows)

    assert asyncio.run(spider.in_thread(export, "kream/000000", staging)) is (rows == 0)
    assert written == [0] * (rows > 0)
    assert read_ledger(tmp_path, "kream/000000").keys() == (set() if rows else {1})
    assert asyncio.run(spider.in_thread(export, "kream/000000", staging)) is (rows == 0)
    assert list(staging.entries()) == [1]
