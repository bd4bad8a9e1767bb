"""The month as a table for people, and its figures."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from benchmarks.month.month import Night
from benchmarks.month.truth import Findings

_WARM: Final = 2  # nights
_LEAST_NIGHTS: Final = 4  # for a slope to mean something
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
    """What the month comes to."""
    return {
        "nights": len(nights),
        "posts": nights[-1].posts,
        "pairs": nights[-1].pairs,
        "lost": len(findings.lost),
        "doubled": len(findings.doubled),
        "wrong": len(findings.wrong),
        "failed_steps": sum(len(night.failed) for night in nights),
        **_memory(nights),
        "seconds": round(sum(night.seconds for night in nights), 1),
    }


def _memory(nights: Sequence[Night]) -> dict[str, Any]:
    """How a daemon's memory grows, MiB a night and over a month of such nights: a line through its longest life.

    Its first nights are left out, in which it loads what it needs.
    """
    lives: list[list[float]] = [[]]
    for night in nights:
        if night.memory_mib is None:
            lives.append([])
        else:
            lives[-1].append(night.memory_mib)
    life = max((life[_WARM:] for life in lives), key=len)
    slope = float(np.polyfit(range(len(life)), life, 1)[0]) if len(life) >= _LEAST_NIGHTS else None
    return {
        "memory_nights": len(life),
        "memory_mib_per_night": None if slope is None else round(slope, 2),
        "memory_growth_mib": None if slope is None else round(slope * (len(life) - 1), 1),
        "memory_peak_mib": max((memory for life in lives for memory in life), default=None),
    }


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
