"""Stage crawl: posts of both sites and the shop's catalog, by a child process per site (Scrapy cannot restart)."""

import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.compute as pc
from pydantic import Field

from assets.pictures import sheet_metadata
from assets.resources import DataFolder, Sites
from assets.stage import Check, Outcome, Rows, reasons_table, stage
from assets.world import WorldError
from crawlers.errors import REFUSED
from curation.tables import ShardedTable

MOST_FAILED = 0.2
"""Share of ids that may fail before a crawl is worth nothing to those who build on it."""
_CHECKS = {
    "not_empty": "The crawl kept at least one picture.",
    "few_failures": f"At most {MOST_FAILED:.0%} of what was asked for failed, and of what is new.",
    "no_drift": "Pages yield every field as often as in the crawls before: the site's markup is as we know it.",
}
IN_TIME = {"in_time": "The crawl came to its end; warns when `max_minutes` was over, and the next run goes on there."}
_OUT_OF_TIME = "max_seconds"  # as the crawler says it
_LEAST_MINUTES = 1.0  # in which a crawl comes to its end, with what is complete
_LEAST_NEW = 50
"""Fewer new posts, of which a few are always broken, say nothing of a night."""

RETRIES = dg.RetryPolicy(max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""An outage of minutes is waited for; what a crawl has read is not asked for again."""
_crawl_stage = partial(
    stage, "crawl", kinds={"scrapy", "playwright", "parquet"}, checks=_CHECKS, warnings=IN_TIME, retries=RETRIES
)


class Timed(dg.Config):
    """How long a crawl may take."""

    max_minutes: float = Field(
        0, ge=0, description="stop after so long; what is complete is handed on, the next run goes on; 0 is no limit"
    )


class PostCrawl(Timed):
    """What to crawl; the defaults take what is new up to the frontier."""

    blocks: str = Field("auto", description="id blocks such as 0-3 or 0,7; auto finds the newest id by probing")
    max_posts: int = Field(0, ge=0, description="stop after so many posts; 0 is no limit")
    retry_failed: bool = Field(False, description="besides what is new, try again what failed and has waited its time")


class CatalogCrawl(Timed):
    """How much of the catalog to list."""

    refresh: bool = Field(False, description="list again what was listed before")


@_crawl_stage()
def kream_posts(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    sites: Sites,
    children: dg.PipesSubprocessClient,
    config: PostCrawl,
) -> Outcome:
    """User posts of KREAM with their tagged products, pictures and ledger.

    Server-rendered, so plain HTTP does, outside the pool of browsers. Where plain pages stop carrying data it starts a
    browser as well, in addition to the one that the pool allows: a night's crawl is worth that memory.
    """
    return _crawl_posts(context, data, sites, children, config, "kream")


@_crawl_stage(pool="chromium")
def onthelook_posts(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    sites: Sites,
    children: dg.PipesSubprocessClient,
    config: PostCrawl,
) -> Outcome:
    """User posts of OnTheLook with their tagged products, pictures and ledger. Empty without JavaScript: browser."""
    return _crawl_posts(context, data, sites, children, config, "onthelook")


@_crawl_stage(pool="chromium")
def kream_catalog(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    sites: Sites,
    children: dg.PipesSubprocessClient,
    config: CatalogCrawl,
) -> Outcome:
    """The shop's thumbnails by its own category: labels of the classifier, and what people search in."""
    return _crawl_catalog(context, data, sites, children, config)


def _crawl_catalog(context: Any, data: DataFolder, sites: Sites, children: Any, config: CatalogCrawl) -> Outcome:
    options = ["--refresh"] if config.refresh else []
    stats = _crawl(context, data, sites, children, "kream-catalog", options + _time_limit(context, config))
    table = data.publish("catalog", "kream")
    _check_any(table)
    columns = table.table(["category", "error"])
    errors = Counter(error for error in columns["error"].to_pylist() if error)
    rows = Rows(len(columns), len(columns) - errors.total(), 0, errors.total())
    categories = Counter(columns["category"].to_pylist())
    pictures = sheet_metadata(table, caption="category")
    facts = {"categories": reasons_table(categories), "errors": reasons_table(errors), "thumbnails": pictures}
    return Outcome(table, rows, facts, _checks(rows, stats, Counter()) | _in_time(stats))


def _crawl_posts(context: Any, data: DataFolder, sites: Sites, children: Any, config: PostCrawl, site: str) -> Outcome:
    options = [f"--blocks={config.blocks}"]  # in one word: a value that begins with a dash is refused by its name too
    options += ["--max-posts", str(config.max_posts)] if config.max_posts else []
    options += ["--retry-failed"] if config.retry_failed else []
    options += _time_limit(context, config)
    begun = datetime.now(UTC)
    stats = _crawl(context, data, sites, children, site, options)
    table, ledger = data.publish("posts", site), data.crawled("ledger", site)
    _check_any(ledger)
    states, reasons, new = _outcomes(ledger, begun)
    posts = states.total()
    rows = Rows(posts, states["done"], posts - states["done"] - states["failed"], states["failed"])
    facts = {
        "states": reasons_table(states),
        "reasons": reasons_table(reasons),
        "crawl": dg.MetadataValue.json(stats),
        "pictures": sheet_metadata(table, caption="role"),
    }
    return Outcome(table, rows, facts, _checks(rows, stats, new) | _in_time(stats))


def _check_any(complete: ShardedTable) -> None:
    """Fail where a crawl has nothing to hand on."""
    if not complete.shards:
        text = "max_minutes were over before the first block or category was complete; the next run goes on there"
        raise dg.Failure(text, allow_retries=False)


def _time_limit(context: Any, config: Timed) -> list[str]:
    return ["--max-seconds", str(60 * _minutes_left(context, config))] if config.max_minutes else []


def _minutes_left(context: Any, config: Timed) -> float:
    """`max_minutes`, of which the tries before this one have had their part."""
    if not context.retry_number:
        return config.max_minutes
    began: float = context.instance.get_run_record_by_id(context.run.run_id).start_time
    return max(_LEAST_MINUTES, config.max_minutes - (time.time() - began) / 60)


def _outcomes(ledger: ShardedTable, begun: datetime) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Posts by state, those that are not done by state and reason, and those first tried since a time by state."""
    states, reasons, new = Counter[str](), Counter[str](), Counter[str]()
    table = ledger.table(["state", "reason", "first_tried_at"])
    table = table.append_column("new", pc.greater_equal(table["first_tried_at"], begun))
    counted = table.group_by(["state", "reason", "new"]).aggregate([([], "count_all")])  # there are millions of posts
    for row in counted.to_pylist():
        states[row["state"]] += row["count_all"]
        new[row["state"]] += row["new"] * row["count_all"]
        if row["state"] != "done":
            reasons[f"{row['state']}: {row['reason']}"] += row["count_all"]
    return states, reasons, new


def _crawl(
    context: dg.AssetExecutionContext, data: DataFolder, sites: Sites, children: Any, spider: str, options: list[str]
) -> dict[str, Any]:
    try:
        data.claim(sites.name)
    except WorldError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    out = data.path / "crawl"
    out.mkdir(exist_ok=True)  # where the crawler says why it refuses its options
    stats = out / f"stats-{spider}.json"
    with sites.crawler_options(spider.partition("-")[0]) as target:
        # A crawl mostly waits for its site: what computes meanwhile goes first.
        crawler = ["nice", sys.executable, "-m", "assets.child", "crawlers", spider]
        begun = time.time()
        try:
            children.run(context=context, command=[*crawler, "--out", str(out), *target, *options])
        except Exception as error:  # of a kind that Dagster does not export
            told = _written(stats, begun)
            if told.get("finish_reason") == _OUT_OF_TIME:  # as it was told: what is complete goes on
                return told
            if told.get("error"):
                refused = told["finish_reason"] == REFUSED
                raise dg.Failure(told["error"], allow_retries=not refused) from error
            raise
    return dict(json.loads(stats.read_text()))


def _written(stats: Path, begun: float) -> dict[str, Any]:
    """The stats of a crawl that began at a time; nothing if it could not write any."""
    return dict(json.loads(stats.read_text())) if stats.is_file() and stats.stat().st_mtime >= begun else {}


def _checks(rows: Rows, stats: dict[str, Any], new: Counter[str]) -> dict[str, Check]:
    failed = {f"{rows.failed} failed of {rows.entered}": rows.failed <= MOST_FAILED * rows.entered}
    if new.total() >= _LEAST_NEW:  # a bad night is nothing beside all earlier ones
        failed[f"of new posts {new['failed']} of {new.total()}"] = new["failed"] <= MOST_FAILED * new.total()
    return {
        "not_empty": Check(rows.kept > 0, f"{rows.kept} kept of {rows.entered}"),
        "few_failures": Check(all(failed.values()), ", ".join(failed)),
        "no_drift": Check(not stats["drift"], "; ".join(stats["drift"]) or f"{len(stats['found'])} fields as before"),
    }


def _in_time(stats: dict[str, Any]) -> dict[str, Check]:
    over = stats["finish_reason"] == _OUT_OF_TIME
    return {"in_time": Check(not over, "max_minutes were over; the next run goes on there" if over else "at its end")}
