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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation.taxonomy import SPLITS, Split

GIANT_SHARE: Final = 0.10
_NONE: Final = len(SPLITS)  # no split yet
Keys: TypeAlias = pa.ListArray | Sequence[Iterable[str]]
"""For each row the keys that must not cross splits, each with its kind (`post:kream/1`, `product:…`)."""
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SplitShares:
    """Shares of the *non-giant* groups, 0-1 each; the rest trains."""

    validation: float = 0.1
    test: float = 0.2


def assign_splits(
    rows: Keys,
    shares: SplitShares = SplitShares(),
    *,
    categories: Sequence[str] = (),
    known: tuple[Keys, Sequence[str]] = ((), ()),
    ties: Keys = (),
) -> list[Split]:
    """Split of each row; the order of rows does not matter.

    Args:
        rows: which must hang together.
        shares: how much of the small groups is held out.
        categories: of each row; empty when there is but one.
        known: rows of earlier versions, and the split of each.
        ties: further keys that hang together although no row has both.
    """
    row, key = _edges(rows)
    tie, tied = _edges(ties)
    encoded = pa.concat_arrays([key, tied]).dictionary_encode()
    names, codes = encoded.dictionary, encoded.indices.to_numpy()
    group_of_row, group_of_key = _groups(codes, np.concatenate([row, len(rows) + tie]), len(rows) + len(ties))
    sizes = np.bincount(group_of_row[: len(rows)], minlength=max(group_of_row.max(), group_of_key.max()) + 1)
    splits = np.full(len(sizes), _NONE)
    _remember(splits, group_of_key, names, *known)
    giant = sizes > GIANT_SHARE * len(rows)
    splits[giant] = SPLITS.index("train")
    counts = _counts(group_of_row[: len(rows)], categories, len(sizes))
    counts[giant] = 0
    new = np.flatnonzero((splits == _NONE) & (sizes > 0))
    first = _first_keys(group_of_key[codes[: len(key)]], codes[: len(key)], names, len(sizes))
    _fill(splits, counts, _order(new, sizes, first), shares)
    return [SPLITS[split] for split in splits[group_of_row[: len(rows)]].tolist()]


def crossing_keys(rows: Keys, splits: Sequence[str]) -> set[str]:
    """Keys that appear in more than one split: the leak check. Empty means leak-free."""
    row, key = _edges(rows)
    encoded = key.dictionary_encode()
    codes, of_key = encoded.indices.to_numpy(), _split_codes(splits)[row]
    low, high = np.full(len(encoded.dictionary), _NONE), np.full(len(encoded.dictionary), -1)
    np.minimum.at(low, codes, of_key)
    np.maximum.at(high, codes, of_key)
    return set(encoded.dictionary.filter(pa.array(low < high)).to_pylist())


def _edges(rows: Keys) -> tuple[Indices, pa.StringArray]:
    """Every key of every row: number of the row, key."""
    listed = rows if isinstance(rows, pa.Array) else pa.array([list(row) for row in rows], pa.list_(pa.string()))
    return pc.list_parent_indices(listed).to_numpy().astype(np.int64), listed.flatten()


def _split_codes(splits: Sequence[str]) -> Indices:
    return np.asarray(pc.index_in(pa.array(splits, pa.string()), pa.array(SPLITS)).to_numpy(zero_copy_only=False), int)


def _groups(codes: Indices, row: Indices, rows: int) -> tuple[Indices, Indices]:
    """Connected components of rows and keys: the group of each row, and of each key."""
    nodes = rows + (int(codes.max()) + 1 if len(codes) else 0)
    graph = coo_array((np.ones(len(row), np.int8), (row, rows + codes)), shape=(nodes, nodes))
    label = connected_components(graph, directed=False)[1].astype(np.int64)
    return label[:rows], label[rows:]


def _remember(
    splits: Indices, group_of_key: Indices, names: pa.StringArray, rows: Keys, of_rows: Sequence[str]
) -> None:
    """Give groups that hold a known key its split, the first of several."""
    row, key = _edges(rows)
    at = pc.index_in(key, names)
    here = np.flatnonzero(at.is_valid())
    places = at.drop_null().to_numpy().astype(np.int64)
    np.minimum.at(splits, group_of_key[places], _split_codes(of_rows)[row[here]])


def _counts(group_of_row: Indices, categories: Sequence[str], groups: int) -> npt.NDArray[np.float64]:
    """Rows per category of each group, (groups, categories)."""
    names, column = np.unique(np.array(categories or [""] * len(group_of_row), np.str_), return_inverse=True)
    flat = np.bincount(group_of_row * len(names) + column, minlength=groups * len(names))
    return flat.reshape(groups, len(names)).astype(np.float64)


def _first_keys(group: Indices, codes: Indices, names: pa.StringArray, groups: int) -> pa.StringArray:
    """The smallest key of any row of each group: its name, whatever the order of rows. Null where there is no row."""
    order = pc.sort_indices(names)
    rank = np.empty(len(names), np.int64)
    rank[order.to_numpy()] = np.arange(len(names))
    first = np.full(groups, len(names))
    np.minimum.at(first, group, rank[codes])
    return names.take(order).take(pa.array(first, mask=first == len(names)))


def _order(groups: Indices, sizes: Indices, names: pa.StringArray) -> list[int]:
    """Groups, the largest first, equal ones by a hash of their names."""
    digests = [hashlib.blake2b(name.encode()).digest() for name in names.take(pa.array(groups)).to_pylist()]
    keyed = sorted(zip((-sizes[groups]).tolist(), digests, groups.tolist(), strict=True))
    return [group for _, _, group in keyed]


def _fill(splits: Indices, counts: npt.NDArray[np.float64], order: Sequence[int], shares: SplitShares) -> None:
    """Give groups, in order, the split that is furthest from what it should hold; `counts` of giants are zero."""
    wanted = np.array([1 - shares.validation - shares.test, shares.validation, shares.test])
    target = wanted[:, None] * counts.sum(axis=0)
    weight = np.divide(1, target, out=np.zeros_like(target), where=target > 0)
    shut = np.where(wanted > 0, 0, np.inf)
    held = np.stack([counts[splits == split].sum(axis=0) for split in range(len(SPLITS))])
    for group in order:
        rows = counts[group]
        cost = shut + (rows * (2 * (held - target) + rows) * weight).sum(axis=1)
        splits[group] = cost.argmin()
        held[splits[group]] += rows
