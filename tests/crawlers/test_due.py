"""Which ids of the ledger are tried again, and when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crawlers.config import CrawlConfig, make_config
from crawlers.due import is_due
from crawlers.rows import LedgerEntry
from curation.reasons import PostState

AT = datetime(2026, 5, 1, tzinfo=UTC)


def config(**more: Any) -> CrawlConfig:
    return make_config(kind="kream", out=Path("out"), **more)


def entry(state: PostState, hours_ago: float, attempts: int = 1) -> LedgerEntry:
    return LedgerEntry(7, state, attempts=attempts, last_tried_at=AT - timedelta(hours=hours_ago))


def test_is_due__new_id() -> None:
    assert is_due(None, config(), AT)


@pytest.mark.parametrize("state", list(PostState))
def test_is_due__settled_ids_are_left_alone(state: PostState) -> None:
    assert not is_due(entry(state, hours_ago=1000), config(), AT)
    assert is_due(entry(state, hours_ago=0), config(refresh=True), AT)


@pytest.mark.parametrize(
    ("attempts", "hours_ago", "due"),
    [
        (1, 0.9, False),
        (1, 1.0, True),
        (2, 1.9, False),
        (2, 2.0, True),
        (4, 7.9, False),
        (4, 8.0, True),
        (2000, 719.0, False),
        (2000, 720.0, True),
    ],
)
def test_is_due__failed_id_waits_twice_as_long_each_time(attempts: int, hours_ago: float, due: bool) -> None:
    failed = entry(PostState.FAILED, hours_ago, attempts)
    assert is_due(failed, config(retry_failed=True), AT) == due
    assert not is_due(failed, config(), AT)


def test_is_due__retry_failed_touches_failed_ids_only() -> None:
    states = [state for state in PostState if is_due(entry(state, 2000), config(retry_failed=True), AT)]
    assert states == [PostState.FAILED]


@pytest.mark.parametrize(("days", "due"), [(179, False), (180, True)])
def test_is_due__deleted_post_is_looked_for_again_rarely(days: int, due: bool) -> None:
    assert is_due(entry(PostState.GONE, 24 * days), config(), AT) == due
