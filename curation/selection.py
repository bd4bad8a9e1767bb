"""Which of the kept candidates the next version of the dataset holds: review, benchmarks and sources have their say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.reasons import PairDrop
from curation.review import Decision, Ruling, Rulings, read_verdicts
from curation.tables import fingerprint
from curation.takedown import recorded


@dataclass(frozen=True)
class Selection:
    """What is left out, and what is corrected."""

    rulings: Rulings = field(default_factory=Rulings)
    benchmark: frozenset[str] = frozenset()  # sha256 of pictures that a benchmark also holds
    benchmark_pairs: frozenset[str] = frozenset()  # sha256 of photo and thumbnail, with `/`, of anchors it holds
    sources: frozenset[str] = frozenset()  # sites that are left out
    taken_down: frozenset[str] = frozenset()  # sha256 of pictures that were asked to be removed
    fingerprint: str = ""

    def judge(self, facts: pa.Table) -> tuple[list[PairDrop | None], dict[int, Ruling]]:
        """Judge kept candidates: why each is left out, if it is, and the rulings by row, where there are any."""
        rulings = self._rulings(facts)
        reasons = np.full(len(facts), None, object)
        reasons[[row for row, ruling in rulings.items() if ruling.decision is Decision.REJECT]] = PairDrop.REJECTED
        for column in ("anchor_sha256", "positive_sha256", "crop_sha256"):
            reasons[_among(facts[column], self.benchmark)] = PairDrop.BENCHMARK
        pairs = pc.binary_join_element_wise(facts["anchor_sha256"], facts["positive_sha256"], "/")
        reasons[_among(pairs, self.benchmark_pairs)] = PairDrop.BENCHMARK
        for column in ("anchor_sha256", "positive_sha256", "crop_sha256"):
            reasons[_among(facts[column], self.taken_down)] = PairDrop.TAKEN_DOWN
        reasons[_among(facts["site"], self.sources)] = PairDrop.SOURCE
        return reasons.tolist(), rulings

    def _rulings(self, facts: pa.Table) -> dict[int, Ruling]:
        rows = np.flatnonzero(_among(facts["anchor_sha256"], self.rulings.photos))
        looked_at = facts.select(["anchor_sha256", "box", "positive_sha256"]).take(pa.array(rows)).to_pylist()
        found = {int(row): self.rulings.of(**pair) for row, pair in zip(rows, looked_at, strict=True)}
        return {row: ruling for row, ruling in found.items() if ruling}


def _among(values: pa.ChunkedArray, wanted: frozenset[str]) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_in(values, pa.array(sorted(wanted), pa.string())), bool)


def read_selection(data: Path, sources: frozenset[str] = frozenset()) -> Selection:
    """The selection of a data folder: verdicts in `review/verdicts/`, audits in `audits/`, and what was taken down."""
    verdicts = read_verdicts(data / "review" / "verdicts")
    benchmark, pairs = benchmark_pictures(data / "audits"), benchmark_pairs(data / "audits")
    taken_down = recorded(data).pictures
    key = fingerprint([verdicts, sorted(benchmark), sorted(pairs), sorted(sources), sorted(taken_down)])
    return Selection(Rulings(verdicts), benchmark, pairs, sources, taken_down, key)


def benchmark_pictures(audits: Path) -> frozenset[str]:
    """sha256 of every picture that an audit found in a benchmark and was told to remove (see `curation.audit`)."""
    return frozenset(match["sha256"] for match in _all_left_out(audits))


def benchmark_pairs(audits: Path) -> frozenset[str]:
    """Photo and thumbnail, as `Selection.benchmark_pairs`, of every anchor that an audit was told to remove."""
    return frozenset("/".join(pair) for match in _all_left_out(audits) for pair in match.get("pairs", ()))


def _all_left_out(audits: Path) -> list[dict[str, Any]]:
    reports = [json.loads(path.read_text()) for path in sorted(audits.glob("*.json"))]
    return [match for report in reports for match in left_out(report)]


def left_out(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The overlaps in an audit's report that the dataset does without."""
    if "left_out" in report:
        return list(report["left_out"])
    return list(report["overlaps"]) if report["remove"] else []  # as an older release wrote it
