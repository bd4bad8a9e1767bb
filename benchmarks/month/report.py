"""The month as a table for people, and its figures."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from benchmarks.month.month import Night
from benchmarks.month.truth import Findings

HEAD: Final = "night runs  pages posts pairs model index    MiB      s  what happened"


def line(night: Night) -> str:
    """One night."""
    memory = "" if night.memory_mib is None else f"{night.memory_mib:.0f}"
    numbers = f"{night.night:>5}{night.runs:>5}{night.pages:>7}{night.posts:>6}{night.pairs:>6}"
    numbers += f"{night.model:>6}{night.index[-5:]:>6}{memory:>7}{night.seconds:>7.1f}"
    return f"{numbers}  {story(night)}"


def story(night: Night) -> str:
    """What happened, what failed and what was skipped."""
    failed = [f"{step} FAILED: {_short(why)}" for step, why in night.failed.items()]
    skipped = [f"{schedule} skipped: {why}" for schedule, why in night.skipped.items()]
    return "; ".join([night.happened, *failed, *skipped])


def markdown(nights: Sequence[Night], findings: Findings) -> str:
    """The report."""
    rows = [f"| {' | '.join(_cells(night))} |" for night in nights]
    problems = [f"- {text}" for text in (*findings.lost, *findings.doubled, *findings.wrong)]
    head = "| night | what happened | runs | pages asked | posts | pairs | model | index | MiB | s |"
    return "\n".join(
        [
            "# A simulated month",
            "",
            head,
            "|--:|---|--:|--:|--:|--:|---|---|--:|--:|",
            *rows,
            "",
            "Does not agree with the truth:" if problems else "Everything agrees with the truth.",
            *problems,
            "",
        ]
    )


def _cells(night: Night) -> list[str]:
    memory = "" if night.memory_mib is None else f"{night.memory_mib:.0f}"
    counts = map(str, (night.runs, night.pages, night.posts, night.pairs))
    seconds = f"{night.seconds:.0f}"
    return [str(night.night), story(night).replace("|", "/"), *counts, night.model, night.index, memory, seconds]


def figures(nights: Sequence[Night], findings: Findings) -> dict[str, Any]:
    """What the month comes to. `memory_growth_mib` is the slope of the daemon's memory over the nights, times them."""
    known = [(night.night, night.memory_mib) for night in nights if night.memory_mib is not None]
    return {
        "nights": len(nights),
        "posts": nights[-1].posts,
        "pairs": nights[-1].pairs,
        "lost": len(findings.lost),
        "doubled": len(findings.doubled),
        "wrong": len(findings.wrong),
        "failed_steps": sum(len(night.failed) for night in nights),
        "memory_growth_mib": _growth(known),
        "memory_peak_mib": max((memory for _, memory in known), default=None),
        "seconds": round(sum(night.seconds for night in nights), 1),
    }


def _growth(known: Sequence[tuple[int, float]]) -> float | None:
    """MiB by which a line through the nights rises, first to last; None with too few of them."""
    if len(known) < 3:
        return None
    nights, memory = np.array(known, float).T
    return round(float(np.polyfit(nights, memory, 1)[0] * (nights[-1] - nights[0])), 1)


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
