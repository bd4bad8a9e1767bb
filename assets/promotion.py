"""A trained candidate and the model in use: what the gate decided, as the UI shows it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from assets.resources import DataFolder, Recipes
from assets.stage import Check, Outcome
from models.card import Result, add_result
from models.errors import MetricError
from models.promotion import ModelVersions, Verdict

PROMOTED = {
    "promoted": "The newly trained model is in use; warns when the gate rejected it and the previous one stays."
}
"""The check that tells of the gate. It never blocks: what follows gets the model in use."""
_LINES = 10  # of the ledger


@dataclass(frozen=True)
class Considered:
    """The model that is in use now, if there is one, and how that came."""

    in_use: Path | None
    check: Check
    metadata: dict[str, Any]


def promoted(
    trained: Outcome,
    kind: str,
    data: DataFolder,
    recipes: Recipes,
    weigh: Callable[[Path | None], tuple[Verdict, Result | None]],
) -> Outcome:
    """Outcome of a training of which only what passes the gate is handed on.

    Args:
        trained: of the candidate, with one check: whether it is above its floor. A candidate below is refused.
        kind: versions lie in `models/<kind>_versions`, the one in use at `models/<kind>`.
        data: the data folder.
        recipes: whether the gate is enforced, and how many versions stay.
        weigh: see `consider`.

    Returns:
        With the model in use as its value. The blocking check fails only where no model is in use.
    """
    ((name, floor),) = trained.checks.items()

    def decide(in_use: Path | None) -> tuple[Verdict, Result | None]:
        try:
            return weigh(in_use) if floor.passed else (Verdict(False, floor.description), None)
        except MetricError as error:  # a handful of queries cannot tell two models apart
            return Verdict(False, str(error)), None

    versions = ModelVersions(data.path / "models" / kind)
    considered = consider(versions, trained.value, decide, enforce=recipes.gated, keep=recipes.keep_versions)
    usable = Check(considered.in_use is not None, f"{floor.description}; {considered.check.description}")
    return replace(
        trained,
        value=considered.in_use or trained.value,
        metadata={**trained.metadata, **considered.metadata},
        checks={name: usable, "promoted": considered.check},
    )


def consider(
    versions: ModelVersions,
    candidate: Path,
    weigh: Callable[[Path | None], tuple[Verdict, Result | None]],
    *,
    enforce: bool = True,
    keep: int = 5,
) -> Considered:
    """Keep a candidate as a version, let the gate decide once, and hand on what is in use then.

    Args:
        versions: of the model.
        candidate: checkpoint directory, just trained or trained before.
        weigh: verdict on the candidate and what was measured of it, given the version in use.
        enforce: False promotes whatever the gate says.
        keep: so many of the newest versions stay, the one in use, and the one used before it.

    Returns:
        Its check fails where the candidate is not in use.
    """
    name = versions.add(candidate)
    if versions.decided(name) is None:
        verdict, result = weigh(versions.current)
        if result is not None:
            add_result(versions.folder / name, result)
        if not enforce:
            verdict = replace(verdict, passed=True, reason=f"gates are off; {verdict.reason}")
        versions.decide(name, verdict)
        versions.expire_old(keep)
    in_use = versions.current
    decision = versions.decided(name) or {}
    text = f"{name} {decision['decision']}: {decision['reason']}; in use: {in_use.name if in_use else 'none'}"
    check = Check(in_use is not None and in_use.name == name, text)
    facts = {"candidate": name, "in_use": in_use.name if in_use else "none", "gate": text, "ledger": _table(versions)}
    return Considered(in_use, check, facts)


def _table(versions: ModelVersions) -> dg.MarkdownMetadataValue:
    """The newest decisions."""
    lines = [
        f"| {row['time']} | {row['version']} | {row['decision']} | {row['by']} | {row['reason']} | {row['in_use']} |"
        for row in reversed(versions.ledger()[-_LINES:])
    ]
    return dg.MetadataValue.md(
        "\n".join(["| when | version | | by | reason | in use |", "|---|---|---|---|---|---|", *lines])
    )
