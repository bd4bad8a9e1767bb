"""Clusters that do not chain: leader clustering of matches under an order of precedence.

Connected components of "within r bits" join most of a large collection into one cluster. Here, in order of precedence,
a picture joins the nearest *representative* that it matches, else becomes one itself. So two pictures are never in one
cluster because of a third that lies between them, and the clusters follow from the set of pictures alone: the order in
which they arrived does not matter.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd

Node = int
Nearness = tuple[float, ...]  # the smaller the nearer


class Evidence(StrEnum):
    """What a picture's verdict rests on."""

    KEPT = "kept"  # nothing that goes before it is like it; whether copies followed is said by them alone
    NEAR_DUPLICATE = "near_duplicate"  # every opinion calls it the same as its representative
    BLANK = "blank"  # too plain for its hash to mean anything: never compared
    CROWDED = "crowded"  # too many different pictures share its hash for it to mean anything: never compared


class Precedence(StrEnum):
    """Why one picture is kept rather than another: the first of these in which they differ."""

    CATALOG = "catalog"  # the shop's own catalog shows it
    LARGER = "larger"  # by half an octave of pixels or so: a copy is rarely larger than what it was made from
    EARLIER = "earlier"  # by the time of its post; an unknown time is late
    FIRST = "first"  # by site, post id, position, product id, sha256: as good as chance, but always the same


_SIZE: Final = "_size"
_ORDER: Final = ("_listed", _SIZE, "posted_at", "site", "post_id", "position", "product_id", "sha256")
_RULES: Final = {"_listed": Precedence.CATALOG, _SIZE: Precedence.LARGER, "posted_at": Precedence.EARLIER}


def by_precedence(pictures: pd.DataFrame) -> pd.DataFrame:
    """PICTURES rows, the one to keep first; with the columns that `decided_by` reads."""
    ranked = pictures.assign(
        _listed=~pictures["catalog"].astype(bool),
        _size=-np.rint(2 * np.log2(np.maximum(pictures["pixels"].to_numpy(np.float64), 1))),
    )
    return ranked.sort_values(list(_ORDER), na_position="last", kind="stable", ignore_index=True)


def decided_by(kept: Mapping[str, Any], other: Mapping[str, Any]) -> Precedence:
    """Why `kept` goes before `other`; both are rows of `by_precedence`."""
    for column, rule in _RULES.items():
        same = kept[column] == other[column] or (pd.isna(kept[column]) and pd.isna(other[column]))
        if not same:
            return rule
    return Precedence.FIRST


def leaders(count: int, matches: Sequence[tuple[Node, Node, Nearness]]) -> dict[Node, tuple[Node, Nearness]]:
    """Leader clustering (Hartigan 1975) of nodes 0 … count - 1, which are numbered in order of precedence.

    Args:
        count: of nodes.
        matches: (node, other node, nearness), each two nodes once.

    Returns:
        For each node that is not its own leader: its leader and how near that is. Nearest first, then precedence.
    """
    earlier: dict[Node, list[tuple[Nearness, Node]]] = defaultdict(list)
    for a, b, nearness in matches:
        earlier[max(a, b)].append((nearness, min(a, b)))
    led: dict[Node, tuple[Node, Nearness]] = {}
    for node in range(count):
        if found := [match for match in earlier.get(node, ()) if match[1] not in led]:
            nearness, leader = min(found)
            led[node] = leader, nearness
    return led
