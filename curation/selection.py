"""Which of the kept candidates the next version of the dataset holds: review, benchmarks and sources have their say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curation.reasons import PairDrop
from curation.review import Decision, Ruling, Rulings, read_verdicts
from curation.tables import fingerprint

Judgement = tuple[PairDrop | None, Ruling | None]
"""Why a pair is left out, if it is, and what reviewers said of it, if they did."""


@dataclass(frozen=True)
class Selection:
    """What is left out, and what is corrected."""

    rulings: Rulings = field(default_factory=Rulings)
    benchmark: frozenset[str] = frozenset()  # sha256 of pictures that a benchmark also holds
    sources: frozenset[str] = frozenset()  # sites that are left out
    fingerprint: str = ""

    def judge(self, row: Mapping[str, Any]) -> Judgement:
        """Judge one kept candidate."""
        ruling = self.rulings.of(row["anchor_sha256"], row["box"], row["positive_sha256"])
        if row["site"] in self.sources:
            return PairDrop.SOURCE, ruling
        if not self.benchmark.isdisjoint((row["anchor_sha256"], row["positive_sha256"], row["crop_sha256"])):
            return PairDrop.BENCHMARK, ruling
        return PairDrop.REJECTED if ruling and ruling.decision is Decision.REJECT else None, ruling


def read_selection(data: Path, sources: frozenset[str] = frozenset()) -> Selection:
    """The selection of a data folder: verdicts in `review/verdicts/`, audits in `audits/`."""
    verdicts = read_verdicts(data / "review" / "verdicts")
    benchmark = benchmark_pictures(data / "audits")
    key = fingerprint([verdicts, sorted(benchmark), sorted(sources)])
    return Selection(Rulings(verdicts), benchmark, sources, key)


def benchmark_pictures(audits: Path) -> frozenset[str]:
    """sha256 of every picture that an audit found in a benchmark and was told to remove (see `curation.audit`)."""
    reports = [json.loads(path.read_text()) for path in sorted(audits.glob("*.json"))]
    return frozenset(match["sha256"] for report in reports if report["remove"] for match in report["overlaps"])
