"""When an id of the ledger is tried again."""

from datetime import datetime, timedelta
from typing import Final

from crawlers.config import CrawlConfig
from crawlers.rows import LedgerEntry
from curation.reasons import PostState

_LONGEST_WAIT: Final = timedelta(days=30)
"""Between two attempts at a failed id, however often it failed."""


def is_due(entry: LedgerEntry | None, config: CrawlConfig, at: datetime) -> bool:
    """Whether an id is to be tried now: a new one always, a failed or deleted one when enough time has passed.

    A failed id is tried again when `retry_failed` asks for it, and waits twice as long after each attempt. A deleted
    one is looked at again rarely: posts do come back, but few.

    Args:
        entry: how the id ended, None if it was never tried.
        config: `refresh`, `retry_failed`, `retry_wait` and `gone_days`.
        at: now, with time zone.
    """
    if entry is None or config.refresh:
        return True
    waited = at - entry.last_tried_at
    if entry.state is PostState.GONE:
        return waited >= timedelta(days=config.gone_days)
    return config.retry_failed and entry.state is PostState.FAILED and waited >= _wait(entry.attempts, config)


def _wait(attempts: int, config: CrawlConfig) -> timedelta:
    if config.retry_wait == 0:
        return timedelta(0)
    doublings = min(attempts - 1, 64)  # beyond it a float's seconds are no time span
    seconds = min(config.retry_wait * 2.0**doublings, _LONGEST_WAIT.total_seconds())
    return timedelta(seconds=seconds)
