"""Posts by id: block after block, each id into exactly one state of the ledger."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from scrapy.http import Response, TextResponse  # noqa: TID253 - imported only when a crawl runs

from crawlers.blocks import block_name, locked
from crawlers.config import CrawlConfig
from crawlers.discovery import discovery
from crawlers.drift import post_fields
from crawlers.due import is_due
from crawlers.errors import PageError, PageGoneError
from crawlers.exclusions import REASON as TAKE_DOWN
from crawlers.exclusions import Exclusions
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
_REFUSALS: Final = frozenset({"http_403", "http_429", "http_503"})
_PAGE_SHAPE: Final = "page_shape"
_MAX_BARE: Final = 5  # in a row: plain pages carry no data any more
_MAX_FAILED: Final = 20  # in a row: the site is down or does not want us now, and asking on would be hammering


class PostSpider(WorkSpider):
    """Crawls the posts of one site."""

    name: ClassVar[str] = "posts"  # type: ignore[misc]

    def __init__(
        self, pages: PostSite, config: CrawlConfig, progress: Progress, exclusions: Exclusions, **kwargs: Any
    ) -> None:
        super().__init__(config, progress, **kwargs)
        self._pages = pages
        self._exclusions = exclusions
        self._staging: Staging | None = None
        self._known: dict[int, LedgerEntry] = {}
        self._left = config.max_posts
        self._failed = 0  # posts in a row
        self._tabs: Tabs | None = None
        self._rendering = config.rendering == "always"
        self._bare = 0  # pages in a row that yielded nothing until they were rendered

    async def work(self) -> None:
        """Find out which posts there are, then crawl them block after block."""
        if self.config.rendering != "never":
            from crawlers import browser  # Playwright is not needed for plain HTTP

            self._tabs = browser.Tabs(self.config.pages)
        with contextlib.closing(Fetcher(self.crawler, self._known_picture, self.progress)) as self.fetcher:
            known = discovery(self._pages, self.config, self.fetcher, self._is_there)
            blocks = await self.unless_stopped(known.blocks())
            for number, ids in (blocks or {}).items():
                if self.stopped is None and self._left != 0:
                    await self._block(number, ids)
            if self.stopped is None and self._left != 0:
                known.forget()

    async def _is_there(self, post_id: int) -> bool | str:
        """Whether there is such a post, as its page says; else what is wrong with the page."""
        read = await self._read(post_id, rendered=self._tabs is not None)
        if isinstance(read, _Read) or read.state is PostState.GONE:
            return isinstance(read, _Read)
        return read.message or str(read.reason)

    async def _block(self, number: int, ids: Sequence[int]) -> None:
        name = block_name(self.config.site, number)
        path = self.config.out / "staging" / f"{name}.sqlite"
        with locked(path.with_suffix(".lock")):
            # Under the lock: a take-down that found no lock to wait for was written before, and is obeyed.
            self._exclusions = Exclusions.read(self.config.out, self.config.site)
            self._known = read_ledger(self.config.out, name)
            resuming = path.exists()
            staging = Staging(path)
            self._staging = staging
            try:
                pending = self._pending(ids, staging)
                if not pending and not resuming:
                    staging.remove()
                    self.progress.blocks[name] = "skipped"
                    return
                await self.each(pending, self._post, self.config.concurrency)
                if not await self.in_thread(export_posts, name, staging):
                    self.progress.blocks[name] = "partial"
                    return
                self.progress.blocks[name] = "made"
                staging.remove()
            finally:
                self._staging = None
                staging.close()

    def _pending(self, ids: Sequence[int], staging: Staging) -> list[int]:
        """Those of a block's ids that still have to be tried."""
        done, at = staging.entries(), now()
        wanted = [i for i in ids if i not in done and is_due(self._known.get(i), self.config, at)]
        if self._left is not None:
            wanted = wanted[: self._left]
            self._left -= len(wanted)
        return wanted

    def _known_picture(self, url: str) -> Picture | None:
        return None if self._staging is None else self._staging.picture(url)

    async def _post(self, post_id: int) -> None:
        begun = now()
        result = await self._ended(post_id)
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
        self._count_failed(entry, before)

    def _count_failed(self, entry: LedgerEntry, before: LedgerEntry | None) -> None:
        if entry.state is not PostState.FAILED:
            self._failed = 0
        elif before is None or before.state is not PostState.FAILED or entry.reason in _REFUSALS:
            self._failed += 1  # a post that has failed before may fail again without saying anything of the site
        if self._failed >= _MAX_FAILED:
            self.stop(f"blocked: {_MAX_FAILED} posts in a row failed, the last with {entry.reason}")

    async def _ended(self, post_id: int) -> PostResult:
        """How the visit of a post ended; an error that nobody foresaw fails this post and no other."""
        try:
            return await self._visit(post_id)
        except Exception as error:
            if self.fetcher.is_over:
                raise
            log.exception("%s", self._pages.post_url(post_id))
            broken = Broken.by(error)
            return PostResult(LedgerEntry(post_id, PostState.FAILED, broken.kind, broken.message))

    async def _visit(self, post_id: int) -> PostResult:
        if self._exclusions.post(post_id):
            return PostResult(LedgerEntry(post_id, PostState.EXCLUDED, TAKE_DOWN))
        read = await self._read(post_id, rendered=self._rendering)
        if not self._rendering and self._tabs is not None:
            read = await self._fall_back(post_id, read)
        if isinstance(read, LedgerEntry):
            if read.reason == _PAGE_SHAPE:
                self.progress.count_fields(())
            return PostResult(read)
        self.progress.count_fields(post_fields(read.page))
        return await self._collect(post_id, read)

    async def _fall_back(self, post_id: int, plain: "_Read | LedgerEntry") -> "_Read | LedgerEntry":
        """Render a page that yielded nothing; after some in a row, do so from the start."""
        if not _is_bare(plain):
            self._bare = 0
            return plain
        rendered = await self._read(post_id, rendered=True)
        if _is_bare(rendered):
            return plain
        self._bare += 1
        self.progress.fallbacks += 1
        if self._bare == _MAX_BARE:
            self._rendering = True
            log.warning("%s: %d pages in a row had to be rendered; rendering all", self.config.site, _MAX_BARE)
        return rendered

    async def _read(self, post_id: int, *, rendered: bool) -> "_Read | LedgerEntry":
        """Ask for a post's page and parse it, or say how it ended."""
        url = self._pages.post_url(post_id)
        answer, captured = await self._ask(url, rendered=rendered)
        if isinstance(answer, Refused):
            ended = (PostState.EXCLUDED, "robots") if answer.by_robots else (PostState.FAILED, "refused")
            return LedgerEntry(post_id, *ended, answer.message)
        if isinstance(answer, Broken):
            return LedgerEntry(post_id, PostState.FAILED, answer.kind, answer.message)
        if answer.status in GONE:
            return LedgerEntry(post_id, PostState.GONE, f"http_{answer.status}")
        if answer.status != OK or not isinstance(answer, TextResponse):
            kind = f"http_{answer.status}" if answer.status != OK else "not_html"
            return LedgerEntry(post_id, PostState.FAILED, kind, f"{url}: no page")
        try:
            page = await asyncio.to_thread(self._pages.parse_post, answer.text, post_id)
        except PageGoneError as error:
            return LedgerEntry(post_id, PostState.GONE, "said_by_page", str(error))
        except PageError as error:
            return LedgerEntry(post_id, PostState.FAILED, _PAGE_SHAPE, str(error))
        return _Read(page, captured)

    async def _ask(self, url: str, *, rendered: bool) -> tuple[Response | Refused | Broken, Mapping[str, bytes]]:
        """The page, rendered where it must be, and the original pictures that it loaded by itself."""
        if not rendered or self._tabs is None:
            return await self.fetcher.page(url), {}
        async with self._tabs.one() as tab:
            answer = await self.fetcher.page(url, tab.post(self._pages.ready_selector))
            await tab.end(failed=not isinstance(answer, Response))
            return answer, tab.pictures

    async def _collect(self, post_id: int, read: "_Read") -> PostResult:
        page = read.page
        if page.ai_made:
            return PostResult(LedgerEntry(post_id, PostState.EXCLUDED, "ai_made"))
        if not page.images or not page.products:
            return PostResult(LedgerEntry(post_id, PostState.EMPTY, "no_tag" if page.images else "no_photo"))
        page = self._allowed(page)
        if not page.images or not page.products:
            return PostResult(LedgerEntry(post_id, PostState.EXCLUDED, TAKE_DOWN))
        urls = [*page.images, *(item.image_url for item in page.products)]
        pictures = await asyncio.gather(*(self.fetcher.picture(url, read.captured) for url in urls))
        photos, thumbnails = pictures[: len(page.images)], pictures[len(page.images) :]
        rows = _rows(post_id, self._pages.post_url(post_id), page, pictures)
        return PostResult(_outcome(post_id, photos, thumbnails), rows, tuple(pictures))

    def _allowed(self, page: PostPage) -> PostPage:
        """The page without what was taken down."""
        banned = self._exclusions
        images = tuple(url for url in page.images if not banned.image(url))
        products = tuple(p for p in page.products if not (banned.product(p.product_id) or banned.image(p.image_url)))
        return replace(page, images=images, products=products)


@dataclass(frozen=True, slots=True)
class _Read:
    """A page that was parsed, and the original pictures that a browser captured with it."""

    page: PostPage
    captured: Mapping[str, bytes]


def _is_bare(read: _Read | LedgerEntry) -> bool:
    """Whether a page came but yielded nothing: its markup changed, or JavaScript fills it."""
    if isinstance(read, LedgerEntry):
        return read.reason == _PAGE_SHAPE
    return not read.page.images and not read.page.products


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
