"""Posts by id: block after block, each id into exactly one state of the ledger."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from scrapy.http import Response, TextResponse  # noqa: TID253 - imported only when a crawl runs

from crawlers.blocks import block_ids, block_name, find_frontier, locked, parse_blocks
from crawlers.config import AUTO, CrawlConfig
from crawlers.errors import PageError, PageGoneError, StoppedCrawlError
from crawlers.fetch import GONE, OK, Broken, Fetcher, Refused
from crawlers.pages.base import PostPage, PostSite
from crawlers.progress import Progress
from crawlers.rows import PHOTO, PRODUCT, LedgerEntry, Picture, PostResult, Row, item_values, now
from crawlers.shards import export_posts, read_ledger
from crawlers.spiders.base import WorkSpider
from crawlers.staging import Staging
from curation.reasons import PostState

if TYPE_CHECKING:
    from crawlers.browser import Tabs

log = logging.getLogger(__name__)
_REFUSALS: Final = frozenset({403, 429, 503})
_MAX_REFUSALS: Final = 20  # in a row: the site does not want us now, and asking on would be hammering


class PostSpider(WorkSpider):
    """Crawls the posts of one site."""

    name: ClassVar[str] = "posts"  # type: ignore[misc]

    def __init__(self, pages: PostSite, config: CrawlConfig, progress: Progress, **kwargs: Any) -> None:
        super().__init__(config, progress, **kwargs)
        self._pages = pages
        self._staging: Staging | None = None
        self._known: dict[int, LedgerEntry] = {}
        self._left = config.max_posts
        self._refusals = 0
        self._tabs: Tabs | None = None

    async def work(self) -> None:
        """Find out which blocks there are, then crawl them in order."""
        self.fetcher = Fetcher(self.crawler, self._known_picture, self.progress)
        if self._pages.needs_browser:
            from crawlers.browser import Tabs  # Playwright is not needed for plain HTTP

            self._tabs = Tabs(self.config.pages)
        frontier = await self._frontier()
        if self.config.blocks == AUTO:
            numbers = list(range(frontier // self.config.block_size + 1)) if frontier else []
        else:
            numbers = parse_blocks(self.config.blocks)
        for number in numbers:
            if self.stopped is not None or self._left == 0:
                break
            await self._block(number, frontier)

    async def _frontier(self) -> int:
        """Newest id of the site, or of the wanted blocks; ids beyond it stay out of the ledger and are tried later."""
        limit = None
        if self.config.blocks != AUTO:
            limit = block_ids(parse_blocks(self.config.blocks)[-1], self.config.block_size)[-1]
        folder = self.config.out / "ledger" / self.config.site
        names = [f"{self.config.site}/{path.stem}" for path in sorted(folder.glob("*.parquet"))]
        tried = read_ledger(self.config.out, names[-1]) if names else {}
        seen = [post_id for post_id, entry in tried.items() if entry.state is not PostState.GONE]
        known = min(max(seen, default=0), limit) if limit is not None else max(seen, default=0)
        frontier = await find_frontier(self._newest, known, self.config.frontier_window, limit)
        log.info("%s: newest post id %d", self.config.site, frontier)
        return frontier

    async def _newest(self, ids: range) -> int | None:
        """Highest existing id among some, asked from the top; plain HTTP tells whether a post exists."""
        step = self.config.concurrency
        for end in range(len(ids), 0, -step):
            chunk = ids[max(0, end - step) : end]
            statuses = await asyncio.gather(*(self._status(post_id) for post_id in chunk))
            found = [post_id for post_id, exists in zip(chunk, statuses, strict=True) if exists]
            if found:
                return found[-1]
        return None

    async def _status(self, post_id: int) -> bool:
        answer = await self.fetcher.page(self._pages.post_url(post_id))
        if isinstance(answer, Response) and (answer.status == OK or answer.status in GONE):
            return answer.status == OK
        reason = f"HTTP {answer.status}" if isinstance(answer, Response) else answer.message
        raise StoppedCrawlError(f"cannot find the newest post: {self._pages.post_url(post_id)}: {reason}")

    async def _block(self, number: int, frontier: int) -> None:
        name = block_name(self.config.site, number)
        path = self.config.out / "staging" / f"{name}.sqlite"
        with locked(path.with_suffix(".lock")):
            self._known = read_ledger(self.config.out, name)
            resuming = path.exists()
            staging = Staging(path)
            self._staging = staging
            try:
                pending = self._pending(number, frontier, staging)
                if not pending and not resuming:
                    staging.remove()
                    self.progress.blocks[name] = "skipped"
                    return
                await self.each(pending, self._post, self.config.concurrency)
                if self.stopped is not None:
                    self.progress.blocks[name] = "partial"  # what is staged stays staged: a stop must not take long
                    return
                await asyncio.to_thread(export_posts, self.config.out, name, staging)
                self.progress.blocks[name] = "made"
                staging.remove()
            finally:
                self._staging = None
                staging.close()

    def _pending(self, number: int, frontier: int, staging: Staging) -> list[int]:
        """Ids of the block that still have to be tried."""
        done = staging.entries()
        ids = [post_id for post_id in block_ids(number, self.config.block_size) if post_id <= frontier]
        wanted = [post_id for post_id in ids if post_id not in done and self._is_due(post_id)]
        if self._left is not None:
            wanted = wanted[: self._left]
            self._left -= len(wanted)
        return wanted

    def _is_due(self, post_id: int) -> bool:
        before = self._known.get(post_id)
        if before is None or self.config.refresh:
            return True
        return self.config.retry_failed and before.state is PostState.FAILED

    def _known_picture(self, url: str) -> Picture | None:
        return None if self._staging is None else self._staging.picture(url)

    async def _post(self, post_id: int) -> None:
        begun = now()
        result = await self._visit(post_id)
        before = self._known.get(post_id)
        entry = result.entry
        entry = LedgerEntry(
            post_id, entry.state, entry.reason, entry.message, (before.attempts if before else 0) + 1, entry.photos,
            entry.products, before.first_tried_at if before else begun, now(),
        )  # fmt: skip
        if self._staging is None:
            raise RuntimeError(f"post {post_id} came after its block was closed")
        self._staging.commit(PostResult(entry, result.rows, result.pictures))
        self.progress.count_page(entry.state.value, entry.reason)

    async def _visit(self, post_id: int) -> PostResult:
        url = self._pages.post_url(post_id)
        answer, captured = await self._ask(url)
        if isinstance(answer, Refused):
            return PostResult(LedgerEntry(post_id, PostState.EXCLUDED, "refused", answer.message))
        if isinstance(answer, Broken):
            return PostResult(LedgerEntry(post_id, PostState.FAILED, answer.kind, answer.message))
        self._count_refusal(answer.status)
        if answer.status in GONE:
            return PostResult(LedgerEntry(post_id, PostState.GONE, f"http_{answer.status}"))
        if answer.status != OK or not isinstance(answer, TextResponse):
            kind = f"http_{answer.status}" if answer.status != OK else "not_html"
            return PostResult(LedgerEntry(post_id, PostState.FAILED, kind, f"{url}: no page"))
        try:
            page = await asyncio.to_thread(self._pages.parse_post, answer.text, post_id)
        except PageGoneError as error:
            return PostResult(LedgerEntry(post_id, PostState.GONE, "said_by_page", str(error)))
        except PageError as error:
            return PostResult(LedgerEntry(post_id, PostState.FAILED, "page_shape", str(error)))
        return await self._collect(post_id, page, captured)

    async def _ask(self, url: str) -> tuple[Response | Refused | Broken, Mapping[str, bytes]]:
        """The page, rendered where it must be, and the original pictures that it loaded by itself."""
        if self._tabs is None:
            return await self.fetcher.page(url), {}
        async with self._tabs.one() as tab:
            answer = await self.fetcher.page(url, tab.post(self._pages.ready_selector))
            await tab.end(failed=isinstance(answer, Broken))
            return answer, tab.pictures

    async def _collect(self, post_id: int, page: PostPage, captured: Mapping[str, bytes]) -> PostResult:
        if page.ai_made:
            return PostResult(LedgerEntry(post_id, PostState.EXCLUDED, "ai_made"))
        if not page.images or not page.products:
            return PostResult(LedgerEntry(post_id, PostState.EMPTY, "no_tag" if page.images else "no_photo"))
        urls = [*page.images, *(item.image_url for item in page.products)]
        pictures = await asyncio.gather(*(self.fetcher.picture(url, captured) for url in urls))
        photos, thumbnails = pictures[: len(page.images)], pictures[len(page.images) :]
        rows = _rows(post_id, self._pages.post_url(post_id), page, pictures)
        return PostResult(_outcome(post_id, photos, thumbnails), rows, tuple(pictures))

    def _count_refusal(self, status: int) -> None:
        self._refusals = self._refusals + 1 if status in _REFUSALS else 0
        if self._refusals >= _MAX_REFUSALS:
            self.stop(f"blocked: {_MAX_REFUSALS} refusals in a row, the last with HTTP {status}")


def _rows(post_id: int, post_url: str, page: PostPage, pictures: list[Picture]) -> tuple[Row, ...]:
    common = {"post_url": post_url, "posted_at": page.posted_at.isoformat() if page.posted_at else None}
    slots = [(PHOTO, position, None) for position in range(len(page.images))]
    items = [(PRODUCT, position, item) for position, item in enumerate(page.products)]
    return tuple(
        Row(post_id, role, position, picture.url, {**common, **item_values(item)})
        for (role, position, item), picture in zip([*slots, *items], pictures, strict=True)
    )


def _outcome(post_id: int, photos: list[Picture], thumbnails: list[Picture]) -> LedgerEntry:
    counts = sum(p.usable for p in photos), sum(p.usable for p in thumbnails)
    if all(counts):
        return LedgerEntry(post_id, PostState.DONE, photos=counts[0], products=counts[1])
    lacking, role = (thumbnails, PRODUCT) if counts[0] else (photos, PHOTO)
    worst = next((p for p in lacking if p.failed_in_passing), lacking[0])
    state = PostState.FAILED if worst.failed_in_passing else PostState.EMPTY
    return LedgerEntry(
        post_id, state, f"{role}_{worst.error}", f"no usable {role}", photos=counts[0], products=counts[1]
    )
