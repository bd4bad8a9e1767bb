"""What a crawl asset says when its child fails."""

import json
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from assets.crawl import _crawl
from assets.resources import DataFolder, RealSites
from crawlers.errors import REFUSED


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
