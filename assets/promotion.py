"""A trained candidate and the model in use: what the gate decided, as the UI shows it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from assets.stage import Check
from models.card import Result, add_result
from models.promotion import ModelVersions, Verdict

_LINES = 10  # of the ledger


@dataclass(frozen=True)
class Considered:
    """The model that is in use now, and how that came."""

    in_use: Path
    check: Check
    metadata: dict[str, Any]


def consider(
    versions: ModelVersions,
    candidate: Path,
    weigh: Callable[[Path | None], tuple[Verdict, Result | None]],
    *,
    closed: bool = True,
    keep: int = 5,
) -> Considered:
    """Keep a candidate as a version, let the gate decide once, and hand on what is in use then.

    Args:
        versions: of the model.
        candidate: checkpoint directory, just trained or trained before.
        weigh: verdict on the candidate and what was measured of it, given the version in use.
        closed: False lets every candidate pass.
        keep: so many of the newest versions stay, the one in use, and the one used before it.

    Returns:
        Its check warns where an older version stays in use, and blocks where there is none.
    """
    name = versions.add(candidate)
    if versions.decided(name) is None:
        verdict, result = weigh(versions.current)
        if result is not None:
            add_result(versions.folder / name, result)
        if not closed:
            verdict = replace(verdict, passed=True, reason=f"gates are off; {verdict.reason}")
        versions.decide(name, verdict)
        versions.expire(keep, [versions.earlier] if versions.earlier else [])
    in_use = versions.current
    decision = versions.decided(name) or {}
    text = f"{name} {decision['decision']}: {decision['reason']}; in use: {in_use.name if in_use else 'none'}"
    check = Check(in_use is not None and in_use.name == name, text, warns=in_use is not None)
    facts = {"candidate": name, "in_use": in_use.name if in_use else "none", "gate": text, "ledger": _table(versions)}
    return Considered(in_use or versions.folder / name, check, facts)


def _table(versions: ModelVersions) -> dg.MarkdownMetadataValue:
    """The newest decisions."""
    lines = [
        f"| {row['time']} | {row['version']} | {row['decision']} | {row['by']} | {row['reason']} | {row['in_use']} |"
        for row in reversed(versions.ledger()[-_LINES:])
    ]
    return dg.MetadataValue.md(
        "\n".join(["| when | version | | by | reason | in use |", "|---|---|---|---|---|---|", *lines])
    )
