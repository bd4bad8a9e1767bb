"""Splits that cannot leak: rows that share a post, a product or a near-duplicate cluster go to one split.

Popular products tie most posts of a real site into one giant group. A group above `GIANT_SHARE` of all rows trains;
each smaller group goes where a hash of its name says, whatever else is in the data. A row changes its split only when
its group merges with another: the merged group takes the smaller of the two names, or trains if it became a giant.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from curation.groups import Groups
from curation.taxonomy import Split

GIANT_SHARE: Final = 0.10


@dataclass(frozen=True, slots=True)
class SplitShares:
    """Shares of the *non-giant* groups, 0-1 each; the rest trains."""

    validation: float = 0.1
    test: float = 0.2


def assign_splits(rows: Sequence[Iterable[str]], shares: SplitShares = SplitShares()) -> list[Split]:
    """Split of each row.

    Args:
        rows: for each row the keys that must not cross splits, each with its kind (`post:kream/1`, `product:…`).
        shares: how much of the small groups is held out.
    """
    groups: Groups[str] = Groups()
    keys = [sorted(row) for row in rows]
    for first, *others in keys:
        groups.find(first)
        for other in others:
            groups.union(first, other)
    names: dict[str, str] = {}
    for row in keys:
        root = groups.find(row[0])
        names[root] = min(names.get(root, row[0]), row[0])
    sizes = Counter(groups.find(row[0]) for row in keys)
    giants = {root for root, size in sizes.items() if size > GIANT_SHARE * len(rows)}
    return [_split_of(groups.find(row[0]), names, giants, shares) for row in keys]


def crossing_keys(rows: Sequence[Iterable[str]], splits: Sequence[str]) -> set[str]:
    """Keys that appear in more than one split: the leak check. Empty means leak-free."""
    seen: dict[str, str] = {}
    leaks: set[str] = set()
    for row, split in zip(rows, splits, strict=True):
        for key in row:
            if seen.setdefault(key, split) != split:
                leaks.add(key)
    return leaks


def _split_of(root: str, names: dict[str, str], giants: set[str], shares: SplitShares) -> Split:
    if root in giants:
        return "train"
    digest = hashlib.blake2b(names[root].encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    if position < shares.test:
        return "test"
    return "validation" if position < shares.test + shares.validation else "train"
