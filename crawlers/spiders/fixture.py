"""The page of one post or listing as a test: its markup, and what the page object reads from it today."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from scrapy.http import Response, TextResponse  # noqa: TID253 - imported only when a crawl runs

from crawlers.config import CrawlConfig
from crawlers.errors import PageError
from crawlers.fetch import OK, Fetcher
from crawlers.pages.base import CatalogSite, PostPage, PostSite, ShopItem
from crawlers.progress import Progress
from crawlers.sites import listing_number
from crawlers.spiders.base import WorkSpider
from curation.tables import write_json

log = logging.getLogger(__name__)


class FixtureSpider(WorkSpider):
    """Saves `<site>_<id>.html` and `<site>_<id>.json`."""

    name: ClassVar[str] = "fixture"  # type: ignore[misc]

    def __init__(
        self, pages: PostSite | CatalogSite, config: CrawlConfig, progress: Progress, url: str, **kwargs: Any
    ) -> None:
        super().__init__(config, progress, **kwargs)
        self._pages: Any = pages  # the one or the other, as the configuration says
        self._url = url
        self.saved: dict[str, Any] = {}
        """The files, and the post or the products."""

    async def work(self) -> None:
        """Ask, read and save. Raises `PageError` when there is nothing to read: no test is made of that."""
        html = await self._html()
        number, read = self._parsed(html)
        path = self.config.out / f"{self.config.kind}_{number}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
        write_json(path.with_suffix(".json"), {"base_url": self._pages.base_url, **read})
        self.saved = {"html": str(path), "expected": str(path.with_suffix(".json")), **read}

    def _parsed(self, html: str) -> tuple[int | None, dict[str, Any]]:
        """Number of the post or category, and what the JSON file says."""
        if self.config.is_catalog:
            number = listing_number(self._pages, self._url)
            if not (items := self._pages.parse_listing(html)):
                raise PageError(f"{self._url}: no product")
            return number, {"products": expectation(items)}
        post_id = self._pages.post_id(self._url) or 0
        return post_id, {"post_id": post_id, "post": expectation(self._pages.parse_post(html, post_id))}

    async def _html(self) -> str:
        fetcher = Fetcher(self.crawler, lambda _: None, self.progress)
        if self.config.rendering != "always":
            answer = await fetcher.page(self._url)
        else:
            from crawlers import browser  # Playwright is not needed for plain HTTP

            tab = browser.Tab("fixture")
            if self.config.is_catalog:
                meta = tab.listing(self._pages.card_selector, self.config.scroll_wait)
            else:
                meta = tab.post(self._pages.ready_selector)
            answer = await fetcher.page(self._url, meta)
            await tab.end(failed=not isinstance(answer, Response))
        if not isinstance(answer, TextResponse) or answer.status != OK:
            raise PageError(f"{self._url}: {getattr(answer, 'status', None) or getattr(answer, 'message', answer)}")
        return answer.text


def expectation(page: PostPage | Sequence[ShopItem]) -> Any:
    """What was read as a fixture's JSON file holds it."""
    values = asdict(page) if isinstance(page, PostPage) else list(map(asdict, page))
    return json.loads(json.dumps(values, default=str))
