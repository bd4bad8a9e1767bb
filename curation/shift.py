"""Whether what a stage made last looks like what it made before: the mix of its categories, as a gate.

Rows of shards that were accepted before are the baseline; those of shards that are new or were made again are judged
against it, together with new ones that were too few to judge before. What does not pass stays unaccepted, and is
judged again, until it is made anew or somebody says that it is right.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from curation.tables import Shard, ShardedTable, write_json

LARGEST_PSI: Final = 0.25
"""From which a population stability index is read as a significant shift (Siddiqi 2006)."""
LEAST_ROWS: Final = 200
"""Fewer say nothing of eight categories."""
_LEAST_EXPECTED: Final = 20  # rows of a category, before its absence means something
_COLLAPSED: Final = 0.2  # share of the expected rows, below which a category has collapsed


class _Seen(BaseModel):
    """A shard as it was accepted."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    counts: dict[str, int]


class _Baseline(BaseModel):
    shards: dict[str, _Seen] = {}


@dataclass(frozen=True)
class Shift:
    """The mix of new rows beside the one before, as counts by category."""

    before: Mapping[str, int]
    now: Mapping[str, int]

    @property
    def rows(self) -> int:
        """New rows."""
        return sum(self.now.values())

    @property
    def judged(self) -> bool:
        """Whether there is enough on both sides to tell."""
        return min(self.rows, sum(self.before.values())) >= LEAST_ROWS

    @property
    def psi(self) -> float:
        """Population stability index, Σ (now − before)·ln(now / before) of shares, half a row added to each."""
        names = {*self.before, *self.now}
        before, now = (_shares(counts, names) for counts in (self.before, self.now))
        return sum((now[name] - before[name]) * math.log(now[name] / before[name]) for name in names)

    @property
    def chance(self) -> float:
        """The index that is expected when nothing but the sample differs."""
        names = {*self.before, *self.now}
        return (len(names) - 1) * (1 / max(1, self.rows) + 1 / max(1, sum(self.before.values())))

    @property
    def collapsed(self) -> list[str]:
        """Categories of which there are less than a fifth of the rows that the mix before lets expect."""
        total = sum(self.before.values())
        expected = {name: count * self.rows / total for name, count in self.before.items()}
        return sorted(
            name
            for name, count in expected.items()
            if count >= _LEAST_EXPECTED and self.now.get(name, 0) < _COLLAPSED * count
        )

    @property
    def problem(self) -> str | None:
        """What is wrong, or None."""
        if not self.judged:
            return None
        if self.collapsed:
            told = [f"{name} ({self.now.get(name, 0)} of {self.rows} rows)" for name in self.collapsed]
            return f"hardly any {', '.join(told)} among what is new"
        if self.psi > LARGEST_PSI + self.chance:
            return f"the mix of categories has shifted: population stability index {self.psi:.2f}"
        return None


def judge(
    table: ShardedTable, record: Path, columns: list[str], label: Callable[[pa.Table], list[str]], *, accept: bool
) -> Shift:
    """Compare the new shards of a table with the accepted ones, and accept them if nothing is wrong.

    Args:
        table: whose rows have a category.
        record: JSON file that knows what was accepted; made where it is missing.
        columns: what `label` needs.
        label: rows → the category of each that counts.
        accept: take the new mix as right, whatever it is.
    """
    known = _Baseline.model_validate_json(record.read_text()).shards if record.is_file() else {}
    shards = {shard.name: shard for shard in table.shards}
    fresh = {
        name: _Seen(fingerprint=shard.fingerprint, counts=_counts(shard, columns, label))
        for name, shard in shards.items()
        if name not in known or known[name].fingerprint != shard.fingerprint
    }
    shift = Shift(_total(known), _total(fresh))
    first = sum(shift.before.values()) < LEAST_ROWS  # there is nothing to compare with yet
    if accept or first or (shift.judged and not shift.problem):
        accepted = {name: fresh.get(name) or known[name] for name in shards}
        write_json(record, _Baseline(shards=accepted).model_dump())
    return shift


def _counts(shard: Shard, columns: list[str], label: Callable[[pa.Table], list[str]]) -> dict[str, int]:
    return dict(Counter(label(shard.table(columns))))


def _total(shards: Mapping[str, _Seen]) -> Counter[str]:
    total: Counter[str] = Counter()
    for seen in shards.values():
        total.update(seen.counts)
    return total


def _shares(counts: Mapping[str, int], names: set[str]) -> dict[str, float]:
    total = sum(counts.values()) + 0.5 * len(names)
    return {name: (counts.get(name, 0) + 0.5) / total for name in names}
