"""Counts of a running crawl: one JSON line in the log every so many pages, and `stats.json` at the end."""

import json
import logging
import time
from collections import Counter
from pathlib import Path
from typing import Any

from curation.tables import write_json

log = logging.getLogger(__name__)


class Progress:
    """What a crawl did so far.

    Args:
        kind: what is crawled.
        every: pages per line.
    """

    def __init__(self, kind: str, every: int) -> None:
        self.kind = kind
        self.states: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.pictures: Counter[str] = Counter()
        self.blocks: dict[str, str] = {}
        """Block or category → made, skipped, partial or failed."""
        self.pages = 0
        self.requests = 0
        self.bytes = 0
        self._every = every
        self._started = time.monotonic()

    def count_page(self, state: str, reason: str | None) -> None:
        """One page is done."""
        self.pages += 1
        self.states[state] += 1
        if reason:
            self.reasons[f"{state}:{reason}"] += 1
        if self.pages % self._every == 0:
            self.report()

    def report(self) -> None:
        """Write the line."""
        log.info("%s", json.dumps(self.summary(), ensure_ascii=False))

    def summary(self) -> dict[str, Any]:
        """Counts and speed."""
        seconds = time.monotonic() - self._started
        return {
            "kind": self.kind,
            "pages": self.pages,
            "seconds": round(seconds, 2),
            "pages_per_second": round(self.pages / max(seconds, 1e-9), 2),
            "requests": self.requests,
            "bytes": self.bytes,
            "states": dict(self.states),
            "reasons": dict(self.reasons.most_common(20)),
            "pictures": dict(self.pictures),
        }

    def save(self, path: Path, **more: Any) -> dict[str, Any]:
        """Write everything to a file and return it."""
        stats = {**self.summary(), "blocks": self.blocks, **more}
        write_json(path, stats)
        return stats
