"""One crawl is one process: Scrapy's reactor cannot start twice, and a browser must end with its crawl."""

import ctypes
import logging
import os
import signal
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from crawlers.blocks import claim_block_size
from crawlers.config import CrawlConfig, FeedConfig
from crawlers.drift import record
from crawlers.errors import CrawlError, EmptyCrawlError, StoppedCrawlError
from crawlers.exclusions import Exclusions
from crawlers.feed import read_feed
from crawlers.policy import Policy, activate
from crawlers.progress import Progress
from crawlers.settings import scrapy_settings
from crawlers.sites import CATALOG_SITES, POST_SITES
from curation.places import remove_abandoned
from curation.reasons import PostState
from curation.tables import ShardedTable, write_json

log = logging.getLogger(__name__)
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, so that no crawl is left behind by a killed run."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def run(config: CrawlConfig) -> dict[str, Any]:
    """Crawl, write the tables and `stats.json`, and return the stats. Can be called once per process.

    Raises:
        ConfigError: another block size than before, or a list of exclusions that cannot be read.
        EmptyCrawlError: nothing was kept, now or before.
        StoppedCrawlError: the crawl ended before its work was done; the next run resumes.
        BlockLockedError: another process crawls the same block.
    """
    from crawlers.spiders.catalog import CatalogSpider
    from crawlers.spiders.posts import PostSpider

    pages: Any = (CATALOG_SITES if config.is_catalog else POST_SITES)[config.site](config.base_url)
    if not config.is_catalog:
        claim_block_size(config.out, config.site, config.block_size or pages.block_size)
    exclusions = Exclusions.read(config.out, config.site)
    for table in ("catalog",) if config.is_catalog else ("posts", "ledger"):
        remove_abandoned(config.out / table, config.site)  # a shard that was being written at a kill has gigabytes
    progress = Progress(config.kind, config.progress_every)
    kind = CatalogSpider if config.is_catalog else PostSpider
    crawler = _crawled(config, kind, pages, progress, exclusions=exclusions)
    return _conclude(config, crawler, progress)


def import_catalog(config: FeedConfig) -> dict[str, Any]:
    """Write a feed's products as a catalog, and `feed-<site>.json` with the rows that are not in it, or lack a picture.

    Returns the stats, with `refused` by field. Can be called once per process, like `run`, and raises what it raises.
    """
    from crawlers.spiders.feed import FeedSpider

    feed = read_feed(config.feed, [shard.name.rpartition("/")[2] for shard in _table(config).shards])
    exclusions = Exclusions.read(config.out, config.site)
    remove_abandoned(config.out / "catalog", config.site)
    progress = Progress(config.kind, config.progress_every)
    crawler = _crawled(config, FeedSpider, feed, progress, exclusions=exclusions)
    try:
        refused = dict(Counter(refusal.field for refusal in feed.refused))
        return _conclude(config, crawler, progress, rows=feed.rows, refused=refused, unread=list(feed.unread))
    finally:
        catalog = _table(config)
        columns = ["product_id", "category", "image_url", "error"]
        rows = catalog.table(columns).to_pylist() if catalog.shards else []
        pictures = [row for row in rows if row["error"] is not None]
        told = {"refused": list(map(asdict, feed.refused)), "without_picture": pictures}
        write_json(path := config.out / f"feed-{config.site}.json", told)
        log.info("%d rows refused, %d products without picture: %s", len(feed.refused), len(pictures), path)


def save_fixture(config: CrawlConfig, url: str) -> dict[str, Any]:
    """Save the page of a post or a listing and what is read from it below `config.out`.

    Can be called once per process, like `run`.

    Raises:
        PageError: the page did not come, or nothing can be read from it.
    """
    from crawlers.spiders.fixture import FixtureSpider

    pages = (CATALOG_SITES if config.is_catalog else POST_SITES)[config.site](config.base_url)
    spider = _crawled(config, FixtureSpider, pages, Progress(config.kind, config.progress_every), url=url).spider
    if spider is None or spider.error is not None:
        raise (spider and spider.error) or StoppedCrawlError("not started")
    saved: dict[str, Any] = spider.saved
    return saved


def _crawled(config: CrawlConfig, kind: type[Any], pages: Any, progress: Progress, **more: Any) -> Any:
    """Run one spider to its end; returns its crawler."""
    from scrapy.crawler import CrawlerProcess

    from crawlers.robots import robots_of

    policy = Policy(pages.hosts, allow_private=config.allow_private)
    logging.disable(logging.INFO)  # Scrapy greets with the versions of everything
    process = CrawlerProcess(scrapy_settings(config, policy))
    logging.disable(logging.NOTSET)
    for name in ("scrapy", "twisted", "scrapy-playwright", "py.warnings"):
        logging.getLogger(name).setLevel(logging.WARNING)  # Scrapy's own set-up writes a line per request
    logging.getLogger("scrapy.downloadermiddlewares.robotstxt").setLevel(logging.CRITICAL)  # `crawlers.robots` says it
    crawler = process.create_crawler(kind)
    policy.ask_robots(robots_of(crawler, config.user_agent))
    activate(policy)
    process.crawl(crawler, pages=pages, config=config, progress=progress, **more)
    process.start(install_signal_handlers=False)
    return crawler


def _conclude(config: CrawlConfig, crawler: Any, progress: Progress, **more: Any) -> dict[str, Any]:
    spider, finish = crawler.spider, (crawler.stats.get_value("finish_reason") if crawler.stats else None)
    reason = (spider.stopped if spider else None) or finish or "not started"
    kept = _kept(config)
    error = (spider and spider.error) or _failure(config, progress, reason, kept)
    stats = progress.save(
        config.out / f"stats-{config.kind}.json",
        finish_reason=reason,
        error=None if error is None else f"{type(error).__name__}: {error}",
        kept=kept,
        drift=record(_folder(config) / config.site, progress.found, progress.read),
        pid=os.getpid(),
        **more,
    )
    if error is not None:
        raise error
    return stats


def _failure(config: CrawlConfig, progress: Progress, reason: str, kept: int) -> CrawlError | None:
    """Why a crawl that ran without an error still did not do its work; None when it did."""
    if reason != "finished":
        return StoppedCrawlError(f"{config.kind}: stopped ({reason}); run again to resume")
    failed = [name for name, state in progress.blocks.items() if state == "failed"]
    if failed:
        return StoppedCrawlError(f"{config.kind}: could not read {', '.join(failed)}; run again to resume")
    if not kept:
        return EmptyCrawlError(f"{config.kind}: nothing was kept ({progress.pages} pages, {dict(progress.reasons)})")
    return None


def _table(config: CrawlConfig) -> ShardedTable:
    """The table whose shards say what was kept."""
    return ShardedTable(_folder(config), config.site)


def _folder(config: CrawlConfig) -> Path:
    return config.out / ("catalog" if config.is_catalog else "ledger")


def _kept(config: CrawlConfig) -> int:
    """Posts, or products, that the tables hold after the run."""
    return _table(config).counts.get("products" if config.is_catalog else PostState.DONE.value, 0)
