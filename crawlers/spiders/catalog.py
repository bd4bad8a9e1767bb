"""Catalogs by category: listings page after page, scrolled to their end where they grow, one shard per category."""

import asyncio
import contextlib
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final

from scrapy.http import Response, TextResponse  # noqa: TID253 - imported only when a crawl runs

from crawlers.blocks import locked
from crawlers.config import CrawlConfig
from crawlers.drift import listing_fields
from crawlers.errors import PageError, RobotsError
from crawlers.exclusions import Exclusions
from crawlers.fetch import OK, Broken, Fetcher
from crawlers.pages.base import CatalogSite, ShopItem
from crawlers.progress import Progress
from crawlers.rows import PRODUCT, Picture, Row, item_values, product_key
from crawlers.shards import count_listed, export_catalog, stage_pictures
from crawlers.spiders.base import WorkSpider
from crawlers.staging import Staging
from curation.taxonomy import LABELS

if TYPE_CHECKING:
    from crawlers.browser import Tab, Tabs

log = logging.getLogger(__name__)
_FEW: Final = 20  # products: fewer come with the page itself, and halve by themselves
_LEAST_LEFT: Final = 0.5
"""Share of its products that a listing of more must still show: one that is cut ends with its first cards."""
_MAX_FAILED: Final = 20  # pictures in a row: their host is down or does not want us now
_MOST_LOST: Final = 0.2
"""Share of a category's pictures that may fail in passing: among many thousand a few always do, more is an outage, and
the category waits for its end. One picture alone never holds a category back."""


@dataclass
class Category:
    """One category under way."""

    name: str
    staging: Staging
    fetcher: Fetcher
    before: Counter[int]
    """Shop category → products that it had when it was last listed."""
    failed_before: frozenset[str]
    """Addresses of pictures that failed in passing in a run before this one."""
    seen: set[str] = field(default_factory=set)
    pictures: int = 0
    lost: int = 0
    """Pictures that failed in passing."""
    failed: bool = False

    @property
    def hint(self) -> str:
        """What helps where a listing is refused for what it lacks."""
        return f"if the shop has taken them away, delete catalog/{self.name}.parquet"


class CatalogSpider(WorkSpider):
    """Crawls the listings of one site."""

    name: ClassVar[str] = "catalog"  # type: ignore[misc]
    max_pages: ClassVar[int] = 300  # of one listing, as many as the shop shows

    def __init__(
        self, pages: CatalogSite, config: CrawlConfig, progress: Progress, exclusions: Exclusions, **kwargs: Any
    ) -> None:
        super().__init__(config, progress, **kwargs)
        self._pages = pages
        self._exclusions = exclusions
        self._failed = 0  # pictures in a row
        self._wanted = LABELS if config.categories is None else config.categories.split(",")
        self._most = sys.maxsize if config.max_products is None else config.max_products
        self._exporting = asyncio.Lock()
        self._tabs: Tabs | None = None
        if config.rendering != "never":
            from crawlers import browser  # Playwright is not needed for plain HTTP

            self._tabs = browser.Tabs(config.pages)

    async def work(self) -> None:
        """Crawl all categories, as many listings at one time as there are browser pages."""
        categories = sorted(set(self._pages.categories.values()) & set(self._wanted))
        await self.each(categories, self._category, limit=len(categories))  # the tabs bound what is open at one time

    async def _category(self, label: str) -> None:
        name = f"{self.config.site}/{label}"
        if (self.config.out / "catalog" / f"{name}.parquet").exists() and not self.config.refresh:
            self.progress.blocks[name] = "skipped"
            return
        path = self.config.out / "staging" / "catalog" / f"{name}.sqlite"
        with locked(path.with_suffix(".lock")):
            # Under the lock: a take-down that found no lock to wait for was written before, and is obeyed.
            self._exclusions = Exclusions.read(self.config.out, self.config.site)
            staging = Staging(path)
            try:
                staging.forget_rows()  # of a run that was cut or failed: every listing is walked from its first page
                if not await self.in_thread(stage_pictures, name, staging):
                    self.progress.blocks[name] = "partial"
                    return
                numbers = [number for number, of in self._pages.categories.items() if of == label]
                with contextlib.closing(Fetcher(self.crawler, staging.picture, self.progress)) as fetcher:
                    before = count_listed(self.config.out, name)
                    category = Category(name, staging, fetcher, before, staging.failed_in_passing())
                    await self.each(numbers, partial(self._listing, category), limit=self.config.pages)
                _check_lost(category)
                if category.failed or not await self._export(name, staging):
                    self.progress.blocks[name] = "failed" if category.failed else "partial"
                    return
                staging.remove()
            finally:
                staging.close()

    async def _export(self, name: str, staging: Staging) -> bool:
        """Write the shard; False when the crawl is stopped before that. One at a time: it changes the others too."""
        async with self._exporting:
            made = [block for block, state in self.progress.blocks.items() if state == "made"]
            if not await self.in_thread(partial(export_catalog, made=made), name, staging):
                return False
            self.progress.blocks[name] = "made"
            return True

    async def _listing(self, category: Category, number: int) -> None:
        """One shop category. One that cannot be listed whole fails its category."""
        try:
            await self._walk(category, number)
        except PageError as error:
            log.warning("listing failed: %s", error)
            self.progress.count_page("failed", type(error).__name__)
            category.failed = True

    async def _walk(self, category: Category, number: int) -> None:
        """The pages of a shop category until one shows nothing new. Raises `PageError`."""
        listed: set[str] = set()
        for page in range(1, self.max_pages + 1):
            if self.stopped is not None:
                return
            if len(listed) >= self._most:
                break
            items = await self._items(category, number, page)
            self.progress.count_page("done", None)
            fresh = {str(item.product_id): item for item in items if item.product_id not in listed}
            fresh = dict(islice(fresh.items(), self._most - len(listed)))
            if not fresh:
                break
            listed.update(fresh)
            self.progress.count_fields(listing_fields(fresh.values()))
            new = [item for key, item in fresh.items() if key not in category.seen and not self._is_excluded(item)]
            category.seen.update(fresh)
            await asyncio.gather(*(self._item(category, number, item) for item in new))
        before = category.before[number]
        if before >= _FEW and len(listed) < _LEAST_LEFT * before:
            url = self._pages.listing_url(number, 1)
            raise PageError(f"{url}: {len(listed)} products, where there were {before} before; {category.hint}")

    def _is_excluded(self, item: ShopItem) -> bool:
        return self._exclusions.product(item.product_id) or self._exclusions.image(item.image_url)

    async def _items(self, category: Category, number: int, page: int) -> Sequence[ShopItem]:
        """The products of one page, those without an id left out."""
        known = [item for item in await self._listed(category, number, page) if item.product_id]
        if not known and page == 1 and category.before[number]:
            self.progress.count_fields(())
            url = self._pages.listing_url(number, page)
            raise PageError(f"{url}: no product, where there were some before; {category.hint}")
        return known

    async def _listed(self, category: Category, number: int, page: int) -> Sequence[ShopItem]:
        """Everything that one page shows."""
        url = self._pages.listing_url(number, page)
        if self._tabs is None:
            return await self._read(category, url, None)
        if page > 1 and not await self._read(category, url, None):
            return []  # plain HTTP tells cheaply that there is no such page
        async with self._tabs.one() as tab:
            return await self._read(category, url, tab)

    async def _read(self, category: Category, url: str, tab: "Tab | None") -> Sequence[ShopItem]:
        meta = {} if tab is None else tab.listing(self._pages.card_selector, self.config.scroll_wait)
        answer = await category.fetcher.page(url, meta)
        if tab is not None:
            await tab.end(failed=not isinstance(answer, Response))
        if isinstance(answer, Broken) and answer.kind == RobotsError.__name__:
            self.stop(answer.message)  # it holds for every listing
        if not isinstance(answer, TextResponse) or answer.status != OK:
            raise PageError(f"{url}: {f'HTTP {answer.status}' if isinstance(answer, Response) else answer.message}")
        return await asyncio.to_thread(self._pages.parse_listing, answer.text)

    async def _item(self, category: Category, number: int, item: ShopItem) -> None:
        picture = await self._picture(category, item)
        values = {**item_values(item), "shop_category_id": number}
        category.staging.add(Row(product_key(str(item.product_id)), PRODUCT, 0, picture.url, values), picture)
        category.pictures += 1
        category.lost += picture.failed_in_passing
        self._count_failed(category, picture)

    async def _picture(self, category: Category, item: ShopItem) -> Picture:
        return await category.fetcher.picture(item.image_url)

    def _count_failed(self, category: Category, picture: Picture) -> None:
        if not picture.failed_in_passing:
            self._failed = 0
        elif picture.url not in category.failed_before:
            self._failed += 1  # one that has failed before may fail again without saying anything of its host
        if self._failed >= _MAX_FAILED:
            self.stop(f"blocked: {_MAX_FAILED} pictures in a row failed, the last with {picture.error}")


def _check_lost(category: Category) -> None:
    """Fail a category that lacks too many pictures; the next run asks for these only."""
    if category.lost > max(1, _MOST_LOST * category.pictures):
        log.warning("%s: %d of %d pictures failed in passing", category.name, category.lost, category.pictures)
        category.failed = True
