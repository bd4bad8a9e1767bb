"""Counts of a running crawl: a bar on a terminal, else one JSON line every so many pages; `stats.json` at the end."""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

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
        self.fallbacks = 0
        """Pages that had to be rendered, though plain ones should do."""
        self.read = 0
        """Pages that came and should have yielded something."""
        self.found: Counter[str] = Counter()
        """Field → pages that yielded it."""
        self._every = every
        self._started = time.monotonic()
        self._bar = tqdm(desc=kind, unit=" pages", disable=None)  # None: only on a terminal

    def count_page(self, state: str, reason: str | None) -> None:
        """One page is done."""
        self.pages += 1
        self.states[state] += 1
        if reason:
            self.reasons[f"{state}:{reason}"] += 1
        self._bar.update()
        if self.pages % self._every == 0:
            self.report()

    def count_fields(self, found: Iterable[str]) -> None:
        """One page came and yielded these fields."""
        self.read += 1
        self.found.update(found)

    def report(self) -> None:
        """Write the line, or what of it a bar has room for."""
        if self._bar.disable:
            log.info("%s", json.dumps(self.summary(), ensure_ascii=False))
        else:
            self._bar.set_postfix({**self.states, "MB": self.bytes // 10**6})

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
            "fallbacks": self.fallbacks,
            "found": dict(sorted(self.found.items())),
        }

    def save(self, path: Path, **more: Any) -> dict[str, Any]:
        """Write everything to a file and return it."""
        self._bar.close()
        stats = {**self.summary(), "blocks": self.blocks, **more}
        write_json(path, stats)
        return stats
