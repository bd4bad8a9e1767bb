"""One post's page as a test: its markup, and what the page object reads from it today."""

import json
import logging
from dataclasses import asdict
from typing import Any, ClassVar

from scrapy.http import Response, TextResponse  # noqa: TID253 - imported only when a crawl runs

from crawlers.config import CrawlConfig
from crawlers.errors import PageError
from crawlers.fetch import OK, Fetcher
from crawlers.pages.base import PostPage, PostSite
from crawlers.progress import Progress
from crawlers.spiders.base import WorkSpider
from curation.tables import write_json

log = logging.getLogger(__name__)


class FixtureSpider(WorkSpider):
    """Saves `<site>_<id>.html` and `<site>_<id>.json`."""

    name: ClassVar[str] = "fixture"  # type: ignore[misc]

    def __init__(self, pages: PostSite, config: CrawlConfig, progress: Progress, url: str, **kwargs: Any) -> None:
        super().__init__(config, progress, **kwargs)
        self._pages = pages
        self._url = url
        self.saved: dict[str, Any] = {}
        """The files, and the post."""

    async def work(self) -> None:
        """Ask, read and save. Raises `PageError` when there is nothing to read: no test is made of that."""
        post_id = self._pages.post_id(self._url) or 0
        html = await self._html()
        post = expectation(self._pages.parse_post(html, post_id))
        path = self.config.out / f"{self._pages.site}_{post_id}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
        write_json(path.with_suffix(".json"), {"post_id": post_id, "base_url": self._pages.base_url, "post": post})
        self.saved = {"html": str(path), "expected": str(path.with_suffix(".json")), "post": post}

    async def _html(self) -> str:
        fetcher = Fetcher(self.crawler, lambda _: None, self.progress)
        if self.config.rendering != "always":
            answer = await fetcher.page(self._url)
        else:
            from crawlers import browser  # Playwright is not needed for plain HTTP

            tab = browser.Tab("fixture")
            answer = await fetcher.page(self._url, tab.post(self._pages.ready_selector))
            await tab.end(failed=not isinstance(answer, Response))
        if not isinstance(answer, TextResponse) or answer.status != OK:
            raise PageError(f"{self._url}: {getattr(answer, 'status', None) or getattr(answer, 'message', answer)}")
        return answer.text


def expectation(page: PostPage) -> Any:
    """A page as a fixture's JSON file holds it."""
    return json.loads(json.dumps(asdict(page), default=str))
