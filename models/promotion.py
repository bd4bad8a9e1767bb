"""Which trained model is in use: versions side by side, a gate before the switch, and a ledger of every decision.

A candidate becomes a version first and is used only when the gate lets it pass, or a person says so. The ledger
`promotions.jsonl` beside the versions has one line per decision and is only ever added to.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from curation.tables import append_lines, read_lines
from curation.versions import VersionError, Versions, share
from models.checkpoint import MANIFEST, Kind
from models.statistics import Difference, compare

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""The models with versions: `models/<kind>` in the data folder."""
CANDIDATE: Final = "{}_candidate"
"""What was trained last of a kind: a checkpoint beside its versions, of which it becomes one."""
NEXT: Final[Mapping[str, str]] = {
    "detector": "materialize post_crops and what follows: crops are of the detector that found them",
    "classifier": "materialize thumbnail_categories and what follows",
    "encoder": "materialize catalog_embeddings and search_index: an index answers only its own encoder",
}
"""What is left to do after a switch, by kind."""
LEDGER: Final = "promotions.jsonl"
GATE: Final = "gate"


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a candidate, and why."""

    passed: bool
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)


class ModelVersions(Versions):
    """The versions of one model; `link` is the checkpoint directory that everything opens."""

    def add(self, checkpoint: Path) -> str:
        """Keep a checkpoint as a version, without using it; the name of the one that has its digest, old or new.

        Weights are shared with the candidate's directory, where the file system can. A plain checkpoint directory in
        the link's place, as earlier releases wrote, becomes the first version.
        """
        if self.link.is_dir() and not self.link.is_symlink() and not self.names:
            self._keep(self.link)
            self.activate(self.names[-1])
        known = self._named(_digest(checkpoint))
        return known or self._keep(checkpoint)

    def find(self, digest: str) -> Path | None:
        """Folder of the version whose checkpoint has this digest (`version` in its manifest), if it is still there."""
        name = self._named(digest)
        return self.folder / name if name else None

    def decide(self, name: str, verdict: Verdict) -> None:
        """Record the gate's verdict, and use the version if it passed."""
        if verdict.passed:
            self.activate(name)
        self._record(name, "promoted" if verdict.passed else "refused", GATE, verdict.reason, verdict.numbers)

    def decided(self, name: str) -> dict[str, Any] | None:
        """The newest decision of the gate on a version, so that it decides once."""
        return next((row for row in reversed(self.ledger()) if row["version"] == name and row["by"] == GATE), None)

    def promote(self, name: str, reason: str) -> None:
        """Use a version because a person says so. Raises `VersionError` when there is none of that name."""
        self.activate(name)
        self._record(name, "promoted", "person", reason)

    def rollback(self, reason: str) -> str:
        """Return to the version used before the current one; calling it again returns to the newer. Gives its name.

        Raises:
            VersionError: there was none, or it is not kept any more.
        """
        name = self.earlier
        if name is None:
            raise VersionError(f"{self.link}: no earlier version to return to")
        self.activate(name)
        self._record(name, "rolled back", "person", reason)
        return name

    @property
    def earlier(self) -> str | None:
        """Name of the version that was used before the current one, if it is still there."""
        now = self.current.name if self.current else None
        used = [row["in_use"] for row in self.ledger() if row["in_use"] != now]
        return next((name for name in reversed(used) if name in self.names), None)

    def expire_old(self, keep: int) -> list[str]:
        """`expire`, sparing the version to return to."""
        return self.expire(keep, [self.earlier] if self.earlier else [])

    def ledger(self) -> list[dict[str, Any]]:
        """All decisions, oldest first."""
        return read_lines(self.folder / LEDGER)

    def _keep(self, checkpoint: Path) -> str:
        with self.stage(activate=False) as (name, folder):
            for path in sorted(checkpoint.iterdir()):
                if path.is_file():
                    share(path, folder)
        return name

    def _named(self, digest: str) -> str | None:
        return next((name for name in reversed(self.names) if _digest(self.folder / name) == digest), None)

    def _record(self, name: str, decision: str, by: str, reason: str, numbers: Mapping[str, Any] | None = None) -> None:
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": name,
            "digest": _digest(self.folder / name),
            "decision": decision,
            "by": by,
            "reason": reason,
            "in_use": self.current.name if self.current else None,
            **({"numbers": dict(numbers)} if numbers else {}),
        }
        append_lines(self.folder / LEDGER, [json.dumps(entry, ensure_ascii=False)])


def not_worse(
    candidate: NDArray[np.float64],
    current: NDArray[np.float64],
    clusters: NDArray[Any],
    *,
    margin: float,
    measure: str = "",
) -> Verdict:
    """Non-inferiority: the candidate passes if it is worse by less than `margin`, with 95 % confidence, one-sided.

    Args:
        candidate: the measure of each query.
        current: the same of the model in use, on the same queries.
        clusters: product of each query.
        margin: how much worse is tolerable, in the measure's unit.
        measure: its name, for the reason.

    Raises:
        MetricError: the queries are too few to tell.
    """
    difference = compare(candidate, current, clusters)
    passed = difference.lower > -margin
    means = float(candidate.mean()), float(current.mean())
    numbers = {"measure": measure, "candidate": means[0], "in_use": means[1], "margin": margin, **_plain(difference)}
    text = (
        f"{measure} {means[0]:.3f}, in use {means[1]:.3f}: {difference.mean:+.3f} "
        f"({difference.low:+.3f} to {difference.high:+.3f}, p {difference.p:.3f}), {_meaning(difference, margin)}"
    )
    return Verdict(passed, text, numbers)


def beats(measure: str, candidate: float, baselines: Mapping[str, float]) -> Verdict:
    """What the first model must do, having none to be compared with: be better than every baseline."""
    name, best = max(baselines.items(), key=lambda item: item[1])
    text = f"the first model: {measure} {candidate:.3f}, best baseline ({name}) {best:.3f}"
    return Verdict(candidate > best, text, {"measure": measure, "candidate": candidate, **baselines})


def _meaning(difference: Difference, margin: float) -> str:
    if difference.low > 0:
        return "significantly better"
    if difference.lower > -margin:
        return f"not worse by {margin:.3f} or more"
    if difference.high < 0:
        return "significantly worse"
    return f"it may be worse by {margin:.3f} or more"


def _plain(difference: Difference) -> dict[str, float]:
    numbers = asdict(difference)
    return {("difference" if name == "mean" else name): value for name, value in numbers.items()}


def _digest(checkpoint: Path) -> str:
    return str(json.loads((checkpoint / MANIFEST).read_text())["version"])
