"""Where pairs come from and under which terms: what the dataset card says, and what a setting can leave out."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Terms of one source of pictures."""

    licence: str
    commercial: bool  # whether the terms are known to allow commercial use
    url: str = ""


UNKNOWN = Source("unknown: nobody has stated the terms of this source", commercial=False)
"""What holds for a source that no one has described."""


def excluded_sources(sources: Mapping[str, Source], seen: set[str], commercial_only: bool) -> frozenset[str]:
    """Sources among `seen` that a dataset for commercial use must leave out; none when it need not be."""
    if not commercial_only:
        return frozenset()
    return frozenset(name for name in seen if not sources.get(name, UNKNOWN).commercial)
