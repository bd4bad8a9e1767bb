"""What a crawl asset says when its child fails."""

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest

from assets.crawl import CatalogCrawl, PostCrawl, _crawl, _crawl_catalog, _crawl_posts, _minutes_left, _outcomes
from assets.resources import DataFolder, RealSites
from assets.stage import Outcome
from crawlers.__main__ import _config, _parser
from crawlers.config import CrawlConfig, make_config
from crawlers.errors import REFUSED
from curation.schemas import LEDGER
from curation.tables import ShardedTable
from pipelines.definitions import build
from pipelines.environments import Settings
from tests.curation.builders import NOW
from tests.curation.data_folder import write_table
from tests.models import toys

FIRST_TRY = SimpleNamespace(retry_number=0)


class _FailingChild:
    """A child that writes these stats, if any, and fails."""

    def __init__(self, stats: Path, said: dict[str, Any] | None) -> None:
        self._stats, self._said = stats, said

    def run(self, **_: Any) -> None:
        if self._said is not None:
            self._stats.parent.mkdir(exist_ok=True)
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


def _night(data: Path, states: list[str], reason: str = "finished") -> Outcome:
    """A crawl that tried these posts now, beside a thousand that were done before, and ended for a reason."""
    tried = [(number, "done", NOW) for number in range(1000)]
    tried += [(1000 + number, state, datetime.now(UTC) + timedelta(minutes=1)) for number, state in enumerate(states)]
    entry = {"site": "kream", "reason": None, "message": None, "attempts": 1, "photos": 0, "products": 0}
    rows = [
        {**entry, "post_id": number, "state": state, "first_tried_at": at, "last_tried_at": at}
        for number, state, at in tried
    ]
    write_table(data / "crawl" / "ledger", "000000", rows=rows, schema=LEDGER)
    said = {"finish_reason": reason, "error": f"StoppedCrawlError: kream: {reason}", "drift": [], "found": {}}
    children = _FailingChild(data / "crawl" / "stats-kream.json", said)
    sites = RealSites(name="the real sites")
    return _crawl_posts(FIRST_TRY, DataFolder(root=str(data)), sites, children, PostCrawl(max_minutes=240), "kream")


def test_crawl__out_of_time_hands_on_what_is_complete_and_warns(tmp_path: Path) -> None:
    outcome = _night(tmp_path, ["done"] * 100, reason="max_seconds")
    assert outcome.rows.kept == 1100
    assert [name for name, check in outcome.checks.items() if not check.passed] == ["in_time"]


def test_crawl__out_of_time_before_anything_is_complete_fails_and_is_not_retried(tmp_path: Path) -> None:
    children = _FailingChild(tmp_path / "crawl" / "stats-kream.json", {"finish_reason": "max_seconds"})
    sites = RealSites(name="the real sites")
    with pytest.raises(dg.Failure, match="before the first block or category was complete") as failed:
        _crawl_posts(FIRST_TRY, DataFolder(root=str(tmp_path)), sites, children, PostCrawl(max_minutes=240), "kream")
    assert not failed.value.allow_retries


def test_catalog__out_of_time_hands_on_what_was_complete_and_warns(tmp_path: Path) -> None:
    said = {"finish_reason": "max_seconds", "drift": [], "found": {}}
    commands: list[list[str]] = []

    class Child(_FailingChild):
        def run(self, **told: Any) -> None:
            commands.append(told["command"])
            super().run(**told)

    children = Child(tmp_path / "crawl" / "stats-kream-catalog.json", said)
    sites, config = RealSites(name="the real sites"), CatalogCrawl(refresh=True, max_minutes=240)
    with pytest.raises(dg.Failure, match="before the first block or category was complete"):
        _crawl_catalog(FIRST_TRY, DataFolder(root=str(tmp_path)), sites, children, config)
    toys.catalog_table(tmp_path / "crawl" / "catalog", per_class=2)
    outcome = _crawl_catalog(FIRST_TRY, DataFolder(root=str(tmp_path)), sites, children, config)
    assert outcome.rows.kept == 16
    assert [name for name, check in outcome.checks.items() if not check.passed] == ["in_time"]
    assert commands[1][-3:] == ["--refresh", "--max-seconds", "14400.0"]


@pytest.mark.parametrize(("hours", "left"), [(3, 60), (5, 1)])  # a try after the end hands on what is complete
def test_crawl__tries_of_one_run_share_its_time(hours: int, left: float, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def crawl(context: dg.AssetExecutionContext) -> None:
        given.append(_minutes_left(context, PostCrawl(max_minutes=240)))
        if len(given) == 1:
            raise RuntimeError("the site was down after some hours")

    later = time.time() + hours * 3600
    monkeypatch.setattr("assets.crawl.time", SimpleNamespace(time=lambda: later))
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([crawl], instance=instance).success
    assert given == [240, pytest.approx(left, abs=1.5 if left > 1 else 0)]


def test_few_failures__a_bad_night_is_told_whatever_was_done_before(tmp_path: Path) -> None:
    bad = _night(tmp_path, ["failed"] * 45 + ["done"] * 55, reason="max_seconds")
    assert not bad.checks["few_failures"].passed
    assert bad.checks["few_failures"].description == "45 failed of 1100, of new posts 45 of 100"
    few = _night(tmp_path, ["failed"] * 3, reason="max_seconds")
    assert few.checks["few_failures"].passed


def test_crawl__wrong_configuration_is_not_retried(tmp_path: Path) -> None:
    error = _failed(tmp_path, {"finish_reason": REFUSED, "error": "ConfigError: blocks: range 9-1 runs backwards"})
    assert isinstance(error, dg.Failure)
    assert "runs backwards" in str(error.description)
    assert not error.allow_retries


class _Child:
    """The crawler itself."""

    def run(self, *, command: list[str], **_: Any) -> None:
        if code := subprocess.run(command, capture_output=True, check=False).returncode:
            raise RuntimeError(f"External execution process failed with code {code}")


@pytest.mark.parametrize("blocks", ["9-1", "-a"])
def test_crawl__wrong_blocks_are_named_by_the_very_first_crawl(tmp_path: Path, blocks: str) -> None:
    sites = RealSites(name="the real sites")
    with pytest.raises(dg.Failure, match="blocks") as failed:
        _crawl_posts(
            FIRST_TRY, DataFolder(root=str(tmp_path / "new")), sites, _Child(), PostCrawl(blocks=blocks), "kream"
        )
    assert not failed.value.allow_retries


def test_crawl__tables_of_another_world_stay(tmp_path: Path) -> None:
    """What is published there would replace them."""
    shared = str(tmp_path / "shared")
    DataFolder(root=str(tmp_path / "shop"), tables=shared).claim("the real sites")
    trial = DataFolder(root=str(tmp_path / "trial"), tables=shared)
    children = _FailingChild(tmp_path / "trial" / "crawl" / "stats-kream.json", None)
    with pytest.raises(dg.Failure, match=r"shared holds 'the real sites'.*set FASHION_TABLES") as failed:
        _crawl(cast(Any, None), trial, RealSites(name="sandbox seed 1"), children, "kream", [])
    assert not failed.value.allow_retries


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
    states, reasons, new = _outcomes(ShardedTable(tmp_path), NOW + timedelta(days=1))
    assert states == {"done": 3, "dropped": 2, "failed": 2}
    assert reasons == {"dropped: no_products": 2, "failed: timeout": 1, "failed: None": 1}
    assert new.total() == 0
    assert _outcomes(ShardedTable(tmp_path), NOW)[2] == states


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
