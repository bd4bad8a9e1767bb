"""Splits that cannot leak, that stay as they are while the data grows, and that hold every category alike.

Rows that share a post, a product or a near-duplicate cluster form a group, and a group is in one split. In this order:

1. **Memory.** A group that holds a key of an earlier version stays in that key's split. Where groups of different
   splits have merged, train wins over validation and validation over test: what was once trained on is never tested on.
2. **Giants.** Popular products tie most posts of a real site into one group. A group above `GIANT_SHARE` of all rows
   trains.
3. **Stratification.** The other groups, largest first, go where they bring rows per category nearest to the shares
   wanted (χ² distance; for single rows, the idea of Sechidis et al. 2011). Equal ones come in the order of a hash.

So a row changes its split only when its group merges with another or becomes a giant, and then only towards train.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.groups import Groups
from curation.taxonomy import SPLITS, Split

GIANT_SHARE: Final = 0.10


@dataclass(frozen=True, slots=True)
class SplitShares:
    """Shares of the *non-giant* groups, 0-1 each; the rest trains."""

    validation: float = 0.1
    test: float = 0.2


def assign_splits(
    rows: Sequence[Iterable[str]],
    shares: SplitShares = SplitShares(),
    *,
    categories: Sequence[str] = (),
    known: Mapping[str, Split] | None = None,
    ties: Iterable[Sequence[str]] = (),
) -> list[Split]:
    """Split of each row; the order of rows does not matter.

    Args:
        rows: for each row the keys that must not cross splits, each with its kind (`post:kream/1`, `product:…`).
        shares: how much of the small groups is held out.
        categories: of each row; empty when there is but one.
        known: splits of keys in an earlier version, as `known_splits` gives them.
        ties: further keys that hang together although no row has both.
    """
    groups: Groups[str] = Groups()
    keys = [sorted(row) for row in rows]
    for first, *others in [*keys, *map(list, ties)]:
        groups.find(first)
        for other in others:
            groups.union(first, other)
    roots = [groups.find(row[0]) for row in keys]
    splits = _remembered(groups, known or {})
    small = {root: count for root, count in Counter(roots).items() if count <= GIANT_SHARE * len(rows)}
    splits |= dict.fromkeys(set(roots) - set(small), "train")
    labels = list(categories) or [""] * len(keys)
    _fill(splits, _counts(roots, labels, small), _order(roots, keys, small), shares)
    return [splits[root] for root in roots]


def known_splits(rows: Iterable[tuple[Iterable[str], Split]]) -> dict[str, Split]:
    """Split of every key of an earlier version's rows, for `assign_splits`."""
    known: dict[str, Split] = {}
    for keys, split in rows:
        known |= {key: _first(split, known.get(key, split)) for key in keys}
    return known


def crossing_keys(rows: Sequence[Iterable[str]], splits: Sequence[str]) -> set[str]:
    """Keys that appear in more than one split: the leak check. Empty means leak-free."""
    seen: dict[str, str] = {}
    leaks: set[str] = set()
    for row, split in zip(rows, splits, strict=True):
        for key in row:
            if seen.setdefault(key, split) != split:
                leaks.add(key)
    return leaks


def _first(a: Split, b: Split) -> Split:
    return min(a, b, key=SPLITS.index)


def _remembered(groups: Groups[str], known: Mapping[str, Split]) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    for key, split in known.items():
        if key in groups:
            root = groups.find(key)
            splits[root] = _first(split, splits.get(root, split))
    return splits


def _counts(
    roots: Sequence[str], labels: Sequence[str], small: Mapping[str, int]
) -> dict[str, npt.NDArray[np.float64]]:
    """Rows per category of each small group."""
    column = {name: place for place, name in enumerate(sorted(set(labels)))}
    counts: dict[str, npt.NDArray[np.float64]] = defaultdict(lambda: np.zeros(len(column)))
    for root, label in zip(roots, labels, strict=True):
        if root in small:
            counts[root][column[label]] += 1
    return counts


def _order(roots: Sequence[str], keys: Sequence[Sequence[str]], small: Mapping[str, int]) -> list[str]:
    """The small groups, largest first, equal ones by a hash of their smallest key."""
    names: dict[str, str] = {}
    for root, row in zip(roots, keys, strict=True):
        names[root] = min(names.get(root, row[0]), row[0])
    return sorted(small, key=lambda root: (-small[root], hashlib.blake2b(names[root].encode()).digest()))


def _fill(
    splits: dict[str, Split],
    counts: Mapping[str, npt.NDArray[np.float64]],
    order: Sequence[str],
    shares: SplitShares,
) -> None:
    """Give every group that has no split yet the one that is furthest from what it should hold."""
    if not order:
        return
    wanted = np.array([1 - shares.validation - shares.test, shares.validation, shares.test])
    target = wanted[:, None] * sum(counts.values())
    weight = np.divide(1, target, out=np.zeros_like(target), where=target > 0)
    shut = np.where(wanted > 0, 0, np.inf)
    held = np.zeros_like(target)
    for root in sorted(order, key=lambda root: root not in splits):  # what is remembered first; the sort is stable
        rows = counts[root]
        if root not in splits:
            cost = shut + (rows * (2 * (held - target) + rows) * weight).sum(axis=1)
            splits[root] = SPLITS[int(cost.argmin())]
        held[SPLITS.index(splits[root])] += rows
