"""Drift: a field that a site's pages no longer yield, by comparison with the crawls before.

Each finished crawl adds one line to `ledger/<site>/yields.jsonl`: how many pages it read, and on how many of them each
field was found. A site that changes its markup shows as a field whose share falls. Crawls that drifted are kept out of
the comparison, so that a fault does not become the norm; after a real change of the site, delete the file.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from crawlers.pages.base import PostPage, ShopItem
from curation.tables import append_lines, read_lines

_ITEM: Final = tuple(field.name for field in fields(ShopItem))
_RUNS: Final = 60  # latest crawls that a crawl is compared with
_LEAST_PAGES: Final = 30  # before, for a share to mean something
_FEWEST_PAGES: Final = 5  # of a crawl: a small site has no more in a night
_LEAST_FALL: Final = 0.25  # share of its former value that a field must lose
_LEAST_DEVIATIONS: Final = 4.0  # standard errors: one in thirty thousand by chance, for ten fields a night
_LEAST_CHANCE: Final = 1 / 30_000  # the same for a crawl of fewer pages, whose chance is reckoned exactly


@dataclass(frozen=True, slots=True)
class Drift:
    """A field that fell."""

    field: str
    before: float  # share of pages that had it
    now: float

    def __str__(self) -> str:
        return f"{self.field} on {self.now:.0%} of pages, before {self.before:.0%}"


def post_fields(page: PostPage) -> set[str]:
    """Names of the fields that a post's page yielded."""
    return listing_fields(page.products) | {name for name in ("images", "posted_at") if getattr(page, name)}


def listing_fields(items: Iterable[ShopItem]) -> set[str]:
    """Names of the fields that some products have."""
    found = {name for item in items for name in _ITEM if getattr(item, name) is not None}
    return found | {"products"} if found else set()


def compare(yields: Mapping[str, int], pages: int, history: Iterable[Mapping[str, Any]]) -> list[Drift]:
    """Fields whose share fell by a quarter or more, beyond chance.

    Args:
        yields: field → pages that had it.
        pages: pages read.
        history: lines of earlier crawls, as `record` writes them.
    """
    calm = [run for run in history if not run["drifted"]][-_RUNS:]
    pages_before = sum(run["pages"] for run in calm)
    if pages < _FEWEST_PAGES or pages_before < _LEAST_PAGES:
        return []
    total: Counter[str] = Counter()
    for run in calm:
        total.update(run["found"])
    shares = {field: (count / pages_before, yields.get(field, 0) / pages) for field, count in sorted(total.items())}
    drifts = [Drift(field, before, after) for field, (before, after) in shares.items()]
    return [drift for drift in drifts if _fell(drift, pages, pages_before)]


def record(folder: Path, yields: Mapping[str, int], pages: int) -> list[str]:
    """Compare a crawl with those before, add it to them, and say what drifted.

    A crawl that read no page adds nothing and says what the latest one said: the fault is still there.
    """
    path = folder / "yields.jsonl"
    history = read_lines(path)
    if not pages:
        return list(history[-1]["drifted"]) if history else []
    drifted = [str(drift) for drift in compare(yields, pages, history)]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    folder.mkdir(parents=True, exist_ok=True)
    append_lines(path, [json.dumps({"at": at, "pages": pages, "found": dict(yields), "drifted": drifted})])
    return drifted


def _fell(drift: Drift, pages: int, pages_before: int) -> bool:
    fall = drift.before - drift.now
    if fall < _LEAST_FALL * drift.before:
        return False
    if pages < _LEAST_PAGES:
        share = (drift.before * pages_before + 1) / (pages_before + 2)  # never quite all: one page is no proof
        return _chance(round(drift.now * pages), pages, share) < _LEAST_CHANCE
    share = (drift.before * pages_before + drift.now * pages) / (pages_before + pages)
    return fall > _LEAST_DEVIATIONS * math.sqrt(share * (1 - share) * (1 / pages + 1 / pages_before))


def _chance(found: int, pages: int, share: float) -> float:
    """Probability that at most so many of some pages have a field that a share of all pages has (binomial)."""
    return sum(math.comb(pages, k) * share**k * (1 - share) ** (pages - k) for k in range(found + 1))
