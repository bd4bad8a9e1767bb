"""One crawl is one process: Scrapy's reactor cannot start twice, and a browser must end with its crawl."""

import ctypes
import logging
import os
import signal
import sys
from typing import Any, Final

from crawlers.blocks import claim_block_size
from crawlers.config import CrawlConfig
from crawlers.errors import EmptyCrawlError, StoppedCrawlError
from crawlers.pages.kream import KreamPages
from crawlers.pages.onthelook import OnTheLookPages
from crawlers.policy import Policy, activate
from crawlers.progress import Progress
from crawlers.settings import scrapy_settings
from curation.reasons import PostState
from curation.tables import ShardedTable

log = logging.getLogger(__name__)
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, so that no crawl is left behind by a killed run."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def run(config: CrawlConfig) -> dict[str, Any]:
    """Crawl, write the tables and `stats.json`, and return the stats. Can be called once per process.

    Raises:
        EmptyCrawlError: nothing was kept, now or before.
        StoppedCrawlError: the crawl ended before its work was done; the next run resumes.
        BlockLockedError: another process crawls the same block.
    """
    from scrapy.crawler import CrawlerProcess

    from crawlers.spiders.base import robots_of
    from crawlers.spiders.catalog import CatalogSpider
    from crawlers.spiders.posts import PostSpider

    if not config.is_catalog:
        claim_block_size(config.out, config.site, config.block_size)
    pages = KreamPages(config.base_url) if config.site == "kream" else OnTheLookPages(config.base_url)
    kind = CatalogSpider if config.is_catalog else PostSpider
    policy = Policy(pages.hosts, allow_private=config.allow_private)
    process = CrawlerProcess(scrapy_settings(config, policy))
    for name in ("scrapy", "twisted", "scrapy-playwright", "py.warnings"):
        logging.getLogger(name).setLevel(logging.WARNING)  # Scrapy's own set-up writes a line per request
    logging.getLogger("scrapy.downloadermiddlewares.robotstxt").setLevel(logging.CRITICAL)  # the page's failure follows
    crawler = process.create_crawler(kind)
    policy.ask_robots(robots_of(crawler, config.user_agent))
    activate(policy)
    progress = Progress(config.kind, config.progress_every)
    process.crawl(crawler, pages=pages, config=config, progress=progress)
    process.start(install_signal_handlers=False)
    return _conclude(config, crawler, progress)


def _conclude(config: CrawlConfig, crawler: Any, progress: Progress) -> dict[str, Any]:
    spider, finish = crawler.spider, (crawler.stats.get_value("finish_reason") if crawler.stats else None)
    reason = (spider.stopped if spider else None) or finish or "not started"
    kept = _kept(config)
    stats = progress.save(
        config.out / f"stats-{config.kind}.json",
        finish_reason=reason,
        kept=kept,
        pid=os.getpid(),
    )
    if spider is not None and spider.error is not None:
        raise spider.error
    if reason != "finished":
        raise StoppedCrawlError(f"{config.kind}: stopped ({reason}); run again to resume")
    failed = [name for name, state in progress.blocks.items() if state == "failed"]
    if failed:
        raise StoppedCrawlError(f"{config.kind}: could not read {', '.join(failed)}; run again to resume")
    if not kept:
        raise EmptyCrawlError(f"{config.kind}: nothing was kept ({progress.pages} pages, {dict(progress.reasons)})")
    return stats


def _kept(config: CrawlConfig) -> int:
    """Posts, or products, that the tables hold after the run."""
    if config.is_catalog:
        return ShardedTable(config.out / "catalog", config.site).counts.get("products", 0)
    return ShardedTable(config.out / "ledger", config.site).counts.get(PostState.DONE.value, 0)
