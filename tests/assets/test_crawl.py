"""What a crawl asset says when its child fails."""

import json
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from assets.crawl import _crawl, _outcomes
from assets.resources import DataFolder, RealSites
from crawlers.__main__ import _config, _parser
from crawlers.config import CrawlConfig, make_config
from crawlers.errors import REFUSED
from curation.schemas import LEDGER
from curation.tables import ShardedTable
from pipelines.definitions import build
from pipelines.environments import Settings
from tests.curation.builders import NOW
from tests.curation.data_folder import write_table


class _FailingChild:
    """A child that writes these stats, if any, and fails."""

    def __init__(self, stats: Path, said: dict[str, Any] | None) -> None:
        self._stats, self._said = stats, said

    def run(self, **_: Any) -> None:
        if self._said is not None:
            self._stats.parent.mkdir(parents=True)
            self._stats.write_text(json.dumps(self._said))
        raise RuntimeError("External execution process failed with code 1")


def _failed(tmp_path: Path, said: dict[str, Any] | None) -> Exception:
    children = _FailingChild(tmp_path / "crawl" / "stats-kream.json", said)
    sites = RealSites(name="the real sites")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of either kind
        _crawl(cast(Any, None), DataFolder(root=str(tmp_path)), sites, children, "kream", [])
    return caught.value


def test_crawl__failure_says_why(tmp_path: Path) -> None:
    error = _failed(tmp_path, {"finish_reason": "finished", "error": "OperationalError: database or disk is full"})
    assert isinstance(error, dg.Failure)
    assert error.description == "OperationalError: database or disk is full"
    assert error.allow_retries


def test_crawl__out_of_time_is_not_retried(tmp_path: Path) -> None:
    error = _failed(tmp_path, {"finish_reason": "max_seconds", "error": "StoppedCrawlError: kream: stopped"})
    assert isinstance(error, dg.Failure)
    assert not error.allow_retries


def test_crawl__wrong_configuration_is_not_retried(tmp_path: Path) -> None:
    error = _failed(tmp_path, {"finish_reason": REFUSED, "error": "ConfigError: blocks: range 9-1 runs backwards"})
    assert isinstance(error, dg.Failure)
    assert "runs backwards" in str(error.description)
    assert not error.allow_retries


def test_crawl__child_that_wrote_nothing(tmp_path: Path) -> None:
    assert "code 1" in str(_failed(tmp_path, None))


def test_outcomes__count_states_and_why_posts_are_not_done(tmp_path: Path) -> None:
    told = [("done", None)] * 3 + [("dropped", "no_products")] * 2 + [("failed", "timeout"), ("failed", None)]
    entry = {"site": "kream", "message": None, "attempts": 1, "photos": 0, "products": 0}
    times = {"first_tried_at": NOW, "last_tried_at": NOW}
    rows = [
        {**entry, **times, "post_id": number, "state": state, "reason": reason}
        for number, (state, reason) in enumerate(told)
    ]
    write_table(tmp_path, "000000", rows=rows[:4], schema=LEDGER)
    write_table(tmp_path, "000001", rows=rows[4:], schema=LEDGER)
    states, reasons = _outcomes(ShardedTable(tmp_path))
    assert states == {"done": 3, "dropped": 2, "failed": 2}
    assert reasons == {"dropped: no_products": 2, "failed: timeout": 1, "failed: None": 1}


def test_real_sites__are_told_who_crawls_and_are_given_time() -> None:
    def told(**settings: Any) -> CrawlConfig:
        resources = build(Settings(profile="full", **settings)).resources
        assert resources
        with resources["sites"].crawler_options("kream") as options:
            given = vars(_parser().parse_args(["kream", "--out", "x", *options]))
        return _config({name: value for name, value in given.items() if name != "run"})

    polite = told(user_agent="our-shop/1.0 (crawler@example.com)", crawl_delay=2.5)
    assert (polite.user_agent, polite.delay) == ("our-shop/1.0 (crawler@example.com)", 2.5)
    assert told() == make_config(kind="kream", out="x")
