"""Which posts there are: ids that count upwards to a frontier, or ids that a feed names."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, Protocol

from scrapy.http import Response, TextResponse  # noqa: TID253 - only spiders import this file

from crawlers.blocks import block_ids, block_name, find_frontier, parse_blocks
from crawlers.config import AUTO, CrawlConfig
from crawlers.errors import StoppedCrawlError
from crawlers.fetch import GONE, OK, Broken, Fetcher, Refused
from crawlers.pages.base import FeedSite, PostSite
from crawlers.shards import read_ledger
from crawlers.staging import staged
from curation.reasons import PostState
from curation.tables import write_json

log = logging.getLogger(__name__)
_MAX_FEED_PAGES: Final = 500
_NO_POST: Final = 2**31 - 1  # an id that no site has come to
_MOST_UNKNOWN: Final = 8  # in a row: single posts may be broken, a site that answers for none is down

Blocks = dict[int, Sequence[int]]
"""Number of a block → ids in it that exist, or may."""
Existence = Callable[[int], Awaitable[bool | str]]
"""Asks a site whether it has a post; what it answered instead when it says neither."""


class Discovery(Protocol):
    """Finds the posts of a site."""

    async def blocks(self) -> Blocks:
        """Wanted blocks in order. Raises `StoppedCrawlError` when the site does not say."""
        ...

    def forget(self) -> None:
        """Called when all wanted blocks are done."""
        ...


def discovery(pages: PostSite, config: CrawlConfig, fetcher: Fetcher, by_visit: Existence) -> Discovery:
    """How the posts of this site are found; `by_visit` reads a post's page, for a site whose status tells nothing."""
    size = config.block_size or pages.block_size
    if isinstance(pages, FeedSite):
        return _Feed(pages, config, fetcher, size)
    return _Count(pages, config, fetcher, size, by_visit)


class _Count:
    """Ids count upwards: probing finds the newest."""

    def __init__(self, pages: PostSite, config: CrawlConfig, fetcher: Fetcher, size: int, by_visit: Existence) -> None:
        self._pages = pages
        self._config = config
        self._fetcher = fetcher
        self._size = size
        self._by_visit = by_visit
        self._has: Existence = self._by_status
        self._unknown = 0  # answers in a row that say neither
        self._wanted = None if config.blocks == AUTO else parse_blocks(config.blocks)

    async def blocks(self) -> Blocks:
        frontier = await self._frontier()
        if self._wanted is not None:
            numbers = self._wanted
        else:
            numbers = list(range(frontier // self._size + 1)) if frontier else []
        blocks = {number: block_ids(number, self._size) for number in numbers}
        return {number: range(ids.start, min(ids.stop, frontier + 1)) for number, ids in blocks.items()}

    def forget(self) -> None:
        pass

    async def _frontier(self) -> int:
        """Newest id of the site, or as far as this run may go; ids beyond it stay out of the ledger, for later."""
        tried = self._tried()
        limit = self._limit(tried)
        seen = max((post_id for post_id, state in tried.items() if state is not PostState.GONE), default=0)
        known = seen if limit is None else min(seen, limit)
        if await self._by_status(_NO_POST) is True:  # as a site does that JavaScript draws: its server knows no posts
            log.warning("%s: has a page at every address; reading pages to find the newest post", self._config.site)
            self._has = self._by_visit
        upto = "" if limit is None else f", up to {limit}"
        log.info("%s: looking for the newest post above id %d%s", self._config.site, known, upto)
        frontier = await find_frontier(self._newest, known, self._config.frontier_window, limit)
        log.info("%s: posts up to id %d", self._config.site, frontier)
        return frontier

    def _limit(self, tried: Collection[int]) -> int | None:
        """Highest id that this run can come to, None for all."""
        if self._wanted is not None:
            return block_ids(self._wanted[-1], self._size).stop - 1
        if self._config.max_posts is None:
            return None
        return max(tried, default=0) + max(self._config.max_posts, self._config.frontier_window)

    def _tried(self) -> dict[int, PostState]:
        """Ids of the last block that has any: those of its shard and those that a cut run left staged."""
        folder = self._config.out / "staging" / self._config.site
        names = {*_shards(self._config), *(f"{self._config.site}/{path.stem}" for path in folder.glob("*.sqlite"))}
        if not names:
            return {}
        name = max(names)
        entries = read_ledger(self._config.out, name)
        path = folder / f"{name.partition('/')[2]}.sqlite"
        if path.exists():
            entries |= staged(path)
        return {post_id: entry.state for post_id, entry in entries.items()}

    async def _newest(self, ids: range) -> int | None:
        """Highest existing id among some, asked from the top."""
        step = self._config.concurrency
        for end in range(len(ids), 0, -step):
            chunk = ids[max(0, end - step) : end]
            answers = await asyncio.gather(*map(self._has, chunk))
            if True in answers:
                self._unknown = 0
                return max(post_id for post_id, found in zip(chunk, answers, strict=True) if found is True)
            self._unknown = 0 if False in answers else self._unknown + len(chunk)
            if self._unknown >= _MOST_UNKNOWN:
                url = self._pages.post_url(chunk[-1])
                raise StoppedCrawlError(f"cannot find the newest post: {url}: {answers[-1]}")
        return None

    async def _by_status(self, post_id: int) -> bool | str:
        answer = await self._fetcher.page(self._pages.post_url(post_id))
        if isinstance(answer, Response) and (answer.status == OK or answer.status in GONE):
            return answer.status == OK
        return _said(answer)


class _Feed:
    """A feed names the posts, newest first."""

    def __init__(self, pages: FeedSite, config: CrawlConfig, fetcher: Fetcher, size: int) -> None:
        self._pages = pages
        self._config = config
        self._fetcher = fetcher
        self._size = size
        self._file = config.out / "staging" / config.site / "feed.json"
        self._ledgers: dict[int, frozenset[int]] = {}
        self._wanted = None if config.blocks == AUTO else frozenset(parse_blocks(config.blocks))

    async def blocks(self) -> Blocks:
        """Blocks of what the feed names, and of what an earlier run has in its ledger, with those ids."""
        blocks: dict[int, set[int]] = {int(name.partition("/")[2]): set() for name in _shards(self._config)}
        for post_id in await self._walk():
            blocks.setdefault(post_id // self._size, set()).add(post_id)
        return {
            number: sorted(ids | self._known(number))
            for number, ids in sorted(blocks.items())
            if self._wanted is None or number in self._wanted
        }

    def forget(self) -> None:
        if self._wanted is None:  # else blocks wait that were not asked for, and no later walk need come to them
            self._file.unlink(missing_ok=True)

    async def _walk(self) -> set[int]:
        """Ids down to a page that names nothing new; kept until they are crawled, for a run that is cut."""
        waiting = set(json.loads(self._file.read_text())) if self._file.exists() else set()
        for number in range(1, _MAX_FEED_PAGES + 1):
            url = self._pages.feed_url(number)
            answer = await self._fetcher.page(url)
            if not isinstance(answer, TextResponse) or answer.status != OK:
                raise StoppedCrawlError(f"cannot read the feed: {url}: {_said(answer)}")
            ids = set(await asyncio.to_thread(self._pages.parse_feed, answer.text))
            fresh = {post_id for post_id in ids - waiting if post_id not in self._known(post_id // self._size)}
            if not fresh:
                break
            waiting |= fresh
        write_json(self._file, sorted(waiting))
        log.info("%s: %d posts of the feed are not crawled yet", self._config.site, len(waiting))
        return waiting

    def _known(self, number: int) -> frozenset[int]:
        """Ids that the ledger has in a block."""
        if number not in self._ledgers:
            name = block_name(self._config.site, number)
            self._ledgers[number] = frozenset(read_ledger(self._config.out, name))
        return self._ledgers[number]


def _shards(config: CrawlConfig) -> list[str]:
    """Names of the blocks that the ledger has."""
    folder = config.out / "ledger" / config.site
    return [f"{config.site}/{path.stem}" for path in sorted(folder.glob("*.parquet"))]


def _said(answer: Response | Refused | Broken) -> str:
    return f"HTTP {answer.status}" if isinstance(answer, Response) else answer.message
