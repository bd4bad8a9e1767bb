"""Clusters do not chain, and which picture is kept follows a documented order."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from curation.leaders import Precedence, by_precedence, decided_by, leaders


def _picture(sha256: str, **values: Any) -> dict[str, Any]:
    plain = {"catalog": False, "pixels": 10_000, "posted_at": None, "site": "kream", "post_id": 5, "position": 0}
    return {"sha256": sha256, "product_id": None, **plain, **values}


def test_leaders__do_not_chain() -> None:
    """0-1 and 1-2 match, 0-2 do not: 2 must not reach 0 through 1."""
    assert leaders(3, [(0, 1, (1,)), (1, 2, (1,))]) == {1: (0, (1,))}


def test_leaders__nearest_representative_wins_then_precedence() -> None:
    matches = [(0, 2, (3, 1.0)), (1, 2, (2, 9.0)), (0, 3, (2, 1.0)), (1, 3, (2, 1.0))]
    assert leaders(4, matches) == {2: (1, (2, 9.0)), 3: (0, (2, 1.0))}


def test_leaders__order_of_matches_does_not_matter() -> None:
    matches = [(0, 1, (1,)), (1, 2, (2,)), (2, 3, (3,)), (3, 0, (4,))]
    assert leaders(4, matches) == leaders(4, [(b, a, near) for a, b, near in reversed(matches)])


@pytest.mark.parametrize(
    ("better", "worse", "rule"),
    [
        ({"catalog": True, "pixels": 100}, {}, Precedence.CATALOG),
        ({"pixels": 20_000, "post_id": 9}, {}, Precedence.LARGER),
        ({"posted_at": datetime(2025, 1, 1, tzinfo=UTC), "post_id": 9}, {"pixels": 10_500}, Precedence.EARLIER),
        ({"post_id": 4}, {"pixels": 10_500}, Precedence.FIRST),
        ({}, {"post_id": None}, Precedence.FIRST),
    ],
)
def test_by_precedence__first_difference_decides(better: dict, worse: dict, rule: Precedence) -> None:
    rows = pd.DataFrame([_picture("a", **worse), _picture("b", **better)])
    ranked = by_precedence(rows).to_dict("records")
    assert [row["sha256"] for row in ranked] == ["b", "a"]
    assert decided_by(*ranked) is rule
