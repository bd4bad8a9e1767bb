"""Which of the kept candidates the next version of the dataset holds: review, benchmarks and sources have their say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curation.reasons import PairDrop
from curation.review import Decision, Ruling, Rulings, read_verdicts
from curation.tables import fingerprint
from curation.takedown import recorded

Judgement = tuple[PairDrop | None, Ruling | None]
"""Why a pair is left out, if it is, and what reviewers said of it, if they did."""


@dataclass(frozen=True)
class Selection:
    """What is left out, and what is corrected."""

    rulings: Rulings = field(default_factory=Rulings)
    benchmark: frozenset[str] = frozenset()  # sha256 of pictures that a benchmark also holds
    sources: frozenset[str] = frozenset()  # sites that are left out
    taken_down: frozenset[str] = frozenset()  # sha256 of pictures that were asked to be removed
    fingerprint: str = ""

    def judge(self, row: Mapping[str, Any]) -> Judgement:
        """Judge one kept candidate."""
        ruling = self.rulings.of(row["anchor_sha256"], row["box"], row["positive_sha256"])
        if row["site"] in self.sources:
            return PairDrop.SOURCE, ruling
        pictures = (row["anchor_sha256"], row["positive_sha256"], row["crop_sha256"])
        if not self.taken_down.isdisjoint(pictures):
            return PairDrop.TAKEN_DOWN, ruling
        if not self.benchmark.isdisjoint(pictures):
            return PairDrop.BENCHMARK, ruling
        return PairDrop.REJECTED if ruling and ruling.decision is Decision.REJECT else None, ruling


def read_selection(data: Path, sources: frozenset[str] = frozenset()) -> Selection:
    """The selection of a data folder: verdicts in `review/verdicts/`, audits in `audits/`, and what was taken down."""
    verdicts = read_verdicts(data / "review" / "verdicts")
    benchmark = benchmark_pictures(data / "audits")
    taken_down = recorded(data).pictures
    key = fingerprint([verdicts, sorted(benchmark), sorted(sources), sorted(taken_down)])
    return Selection(Rulings(verdicts), benchmark, sources, taken_down, key)


def benchmark_pictures(audits: Path) -> frozenset[str]:
    """sha256 of every picture that an audit found in a benchmark and was told to remove (see `curation.audit`)."""
    reports = [json.loads(path.read_text()) for path in sorted(audits.glob("*.json"))]
    return frozenset(match["sha256"] for report in reports if report["remove"] for match in report["overlaps"])
