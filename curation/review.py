"""What people said about pairs: an append-only table keyed by content, safe for several writers at once.

A verdict names what was looked at: photo, box and thumbnail, pictures by their sha256. So it outlives a new crawl,
another shard layout and a retrained detector whose box moved a little. Every writer appends to a file of its own, one
JSON line per verdict, on disk before `append` returns. No line is ever changed: who changes their mind adds another.
"""

import hashlib
import json
import logging
import math
import os
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from curation.errors import CurationError
from curation.places import publishing
from curation.tables import append_lines, locked
from curation.taxonomy import CATEGORIES

log = logging.getLogger(__name__)

SAME_BOX: Final = 0.75
"""Intersection over union from which two boxes are one garment, as in the detector's suppression."""
Box = Sequence[float]


class VerdictError(CurationError):
    """Raised for a verdict that breaks a rule, and by `read_verdicts` for a whole line that is none."""


class Decision(StrEnum):
    """What a reviewer may say."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNSURE = "unsure"  # seen, no vote
    WITHDRAW = "withdraw"  # undo: this reviewer's earlier verdict no longer counts


@dataclass(frozen=True, slots=True)
class Verdict:
    """One reviewer's word on one pair."""

    anchor_sha256: str  # photo
    box: tuple[float, ...]  # xyxy, px of the photo
    positive_sha256: str  # thumbnail
    decision: Decision
    reviewer: str
    category: str | None = None  # the right one, where the pair's own is wrong
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds"))  # ISO 8601, UTC

    def __post_init__(self) -> None:
        if self.category is not None and self.category not in CATEGORIES:
            raise VerdictError(f"category: must be one of {', '.join(CATEGORIES)}, got {self.category!r}")
        if len(self.box) != 4 or not self.reviewer.strip():
            raise VerdictError(f"verdict needs a box of four numbers and a reviewer, got {self.box}, {self.reviewer!r}")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What all verdicts on one pair come to."""

    decision: Decision | None  # accept, reject, or None while nobody has voted
    category: str | None  # corrected


class VerdictLog:
    """One writer's file below `folder`. Any number of writers may be open, in any number of processes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex}.jsonl"

    def append(self, verdicts: Iterable[Verdict]) -> int:
        """Add verdicts and wait until they are on disk; returns how many."""
        lines = [json.dumps(asdict(verdict), ensure_ascii=False) for verdict in verdicts]
        append_lines(self._path, lines)
        return len(lines)


def read_verdicts(folder: Path) -> list[Verdict]:
    """Every verdict of every writer, oldest first.

    The last line of a file may be torn, when its writer died; it was never confirmed, so it is left out with a warning.

    Raises:
        VerdictError: another line is no verdict.
    """
    found = [verdict for path in sorted(folder.glob("*.jsonl")) for verdict in _read(path)]
    return sorted(found, key=lambda verdict: (verdict.at, verdict.reviewer))


def forget_pictures(folder: Path, pictures: Collection[str]) -> dict[Path, int]:
    """Delete every verdict on some pictures, by sha256, for a take-down; returns how many by file.

    A file is replaced, so that a kill leaves either all of its verdicts or those that stay.
    """
    forgotten = {}
    for path in sorted(folder.glob("*.jsonl")):
        with locked(path):  # a writer that is open waits
            lines = path.read_bytes().splitlines(keepends=True)
            left = [line for line in lines if not any(picture.encode() in line for picture in pictures)]
            if len(left) < len(lines):
                forgotten[path] = len(lines) - len(left)
                with publishing(path) as temporary, temporary.open("wb") as file:
                    file.writelines(left)
                    file.flush()
                    os.fsync(file.fileno())
    return forgotten


class Rulings:
    """The rulings on all pairs that were looked at."""

    def __init__(self, verdicts: Iterable[Verdict] = ()) -> None:
        self._by_pictures: dict[tuple[str, str], list[tuple[Box, dict[str, Verdict]]]] = defaultdict(list)
        for verdict in verdicts:  # oldest first: a reviewer's later word replaces the earlier
            votes = self._votes(verdict.anchor_sha256, verdict.box, verdict.positive_sha256)
            if votes is None:
                votes = {}
                key = (verdict.anchor_sha256, verdict.positive_sha256)
                self._by_pictures[key].append((verdict.box, votes))
            votes[verdict.reviewer] = verdict

    @property
    def photos(self) -> frozenset[str]:
        """sha256 of every photo of which a pair was looked at."""
        return frozenset(anchor for anchor, _ in self._by_pictures)

    def of(self, anchor_sha256: str, box: Box, positive_sha256: str) -> Ruling | None:
        """The ruling on one pair; None when nobody looked at it. A tie rejects: in doubt, a pair is not trained on."""
        every = self._votes(anchor_sha256, box, positive_sha256) or {}
        votes = [vote for vote in every.values() if vote.decision is not Decision.WITHDRAW]
        if not votes:
            return None
        counts = Counter(vote.decision for vote in votes)
        accepts, rejects = counts[Decision.ACCEPT], counts[Decision.REJECT]
        corrections = [vote.category for vote in votes if vote.decision is Decision.ACCEPT and vote.category]
        decision = None if not accepts + rejects else Decision.REJECT if rejects >= accepts else Decision.ACCEPT
        return Ruling(decision, corrections[-1] if corrections else None)

    def _votes(self, anchor: str, box: Box, positive: str) -> dict[str, Verdict] | None:
        seen = self._by_pictures.get((anchor, positive), [])
        return next((votes for known, votes in seen if iou(known, box) >= SAME_BOX), None)


def draw(anchor_sha256: str, positive_sha256: str) -> str:
    """A pair's place in the order in which pairs are drawn to estimate precision: random, and the same every time."""
    return hashlib.blake2b(f"{anchor_sha256}/{positive_sha256}".encode(), digest_size=8).hexdigest()


def review_summary(rows: Sequence[Mapping[str, Any]], rulings: Sequence[Ruling | None]) -> dict[str, Any]:
    """What review did to a dataset of these candidates, each with its ruling, if any.

    Doubtful pairs are looked at first, so the share of right ones among all that were looked at says nothing of the
    whole. Precision is estimated from those that come first in the order of `draw`, up to the first one without a
    ruling: before, the accepted share with Wilson's 95 % interval; after, the wrong pairs that this share implies, less
    those rejected.
    """
    places = (draw(row["anchor_sha256"], row["positive_sha256"]) for row in rows)
    drawn = sorted(zip(places, rulings, strict=True), key=itemgetter(0))
    sample = [ruling.decision for _, ruling in takewhile(itemgetter(1), drawn) if ruling and ruling.decision]
    rejected = sum(ruling.decision is Decision.REJECT for ruling in rulings if ruling)
    reviewed = sum(ruling.decision is not None for ruling in rulings if ruling)
    summary: dict[str, Any] = {"reviewed": reviewed, "rejected": rejected}
    if sample and rejected < len(rows):
        right = sample.count(Decision.ACCEPT)
        low, high = wilson(right, len(sample))
        wrong_left = max(0.0, (1 - right / len(sample)) * len(rows) - rejected)
        summary |= {"random_sample": len(sample), "precision_before": right / len(sample), "low": low, "high": high}
        summary["precision_after"] = 1 - wrong_left / (len(rows) - rejected)
    return summary


def wilson(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share (Wilson 1927)."""
    share, z = right / count, 1.96
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two xyxy boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _read(path: Path) -> Iterable[Verdict]:
    *lines, torn = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if torn:
        log.warning("%s ends in a line that was never finished; it is left out", path)
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            yield Verdict(**{**values, "box": tuple(values["box"]), "decision": Decision(values["decision"])})
        except (ValueError, TypeError, KeyError) as error:
            raise VerdictError(f"{path}:{number} is no verdict: {error}") from error
