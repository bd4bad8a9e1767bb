"""Which rows the next version of the pair dataset holds, in which split, and how it differs from the one before."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import CurationError
from curation.pair_rows import FACTS, pair_keys, row_digests
from curation.reasons import PairDrop
from curation.review import Ruling, review_summary
from curation.schemas import PAIRS
from curation.selection import Selection
from curation.sources import Source
from curation.splits import Keys, SplitShares, assign_splits, crossing_keys
from curation.tables import ShardedTable, fingerprint

LEAK_COLUMNS: Final = ("site", "post_id", "product_id", "product_cluster_id", "photo_cluster_id")
"""What `leak_keys` reads."""

Places = npt.NDArray[np.int64]


class SplitLeakError(CurationError):
    """Raised by `make_plan` when a post, product or cluster would be in two splits."""


@dataclass(frozen=True)
class DatasetRules:
    """What a version is made by, besides the candidates."""

    shares: SplitShares = field(default_factory=SplitShares)
    selection: Selection = field(default_factory=Selection)
    sources: Mapping[str, Source] = field(default_factory=dict)  # site → terms
    by_request: frozenset[str] = frozenset()  # those of the selection's sites that are left out whatever their terms

    @property
    def fingerprint(self) -> str:
        """Changes when another version could come out."""
        rules = [self.shares, self.selection.fingerprint, sorted(self.sources.items()), sorted(self.by_request)]
        return fingerprint(rules)


@dataclass(frozen=True)
class Facts:
    """Rows without their pictures: columns `FACTS`."""

    table: pa.Table

    @cached_property
    def digests(self) -> list[str]:
        """Digest of each row."""
        return row_digests(self.table)

    @cached_property
    def splits(self) -> npt.NDArray[np.str_]:
        """Split of each row."""
        return np.array(self.table["split"].to_pylist(), np.str_)


@dataclass(frozen=True)
class Plan:
    """The rows of the next version, in the order of the candidates."""

    rows: Facts
    shard: Places  # number of the candidate shard of each row
    place: Places  # of the row among the kept ones of that shard
    left_out: Mapping[str, int]  # reason → kept candidates that are not in it
    review: Mapping[str, Any]  # see `curation.review.review_summary`

    def missing(self, shards: Iterable[Facts]) -> Places:
        """Rows that none of these shards holds."""
        held = {digest for shard in shards for digest in shard.digests}
        return np.flatnonzero([digest not in held for digest in self.rows.digests])


def leak_keys(rows: pa.Table) -> pa.ListArray:
    """What each pair must not share with a pair of another split; reads `LEAK_COLUMNS`."""
    whole = rows.select(LEAK_COLUMNS).combine_chunks()
    kinds = {
        "post": _at_site(whole, "post_id"),
        "product": _at_site(whole, "product_id"),
        "product-cluster": whole["product_cluster_id"],
        "photo-cluster": whole["photo_cluster_id"],
    }
    return _lists([pc.binary_join_element_wise(kind, values, ":") for kind, values in kinds.items()])


def _at_site(rows: pa.Table, column: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(rows["site"], rows[column].cast(pa.string()), "/")


def _lists(columns: Sequence[pa.ChunkedArray]) -> pa.ListArray:
    """For each row the values of some columns, nulls left out."""
    rows, width = len(columns[0]), len(columns)
    row_by_row = np.arange(width * rows).reshape(width, rows).T.ravel()
    flat = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string()).combine_chunks()
    values = flat.take(pa.array(row_by_row))
    there = values.is_valid().to_numpy(zero_copy_only=False).reshape(rows, width).sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.drop_null())


def photo_ties(hashes: ShardedTable, clusters: ShardedTable) -> pa.ListArray:
    """Posts that show the same picture, whichever of their photos became pairs: keys for `assign_splits`."""
    photos = _photos(hashes.table(["sha256", "role", "site", "post_id"]))
    names = _photos(clusters.table(["sha256", "role", "cluster_id"])).group_by(["sha256", "cluster_id"]).aggregate([])
    shown = photos.join(names, "sha256", join_type="inner")
    times = shown.group_by("cluster_id").aggregate([("post_id", "count")])
    shared = times.filter(pc.greater(times["post_id_count"], 1))["cluster_id"]
    shown = shown.filter(pc.is_in(shown["cluster_id"], shared))
    keys = {"post": _at_site(shown, "post_id"), "photo-cluster": shown["cluster_id"]}
    return _lists([pc.binary_join_element_wise(kind, values, ":") for kind, values in keys.items()])


def _photos(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table["role"], "photo"))


def make_plan(candidates: ShardedTable, rules: DatasetRules, earlier: Iterable[Facts], ties: Keys) -> Plan:
    """Select and split the kept candidates; pictures are not read.

    Args:
        candidates: CANDIDATES shards.
        rules: what is wanted.
        earlier: rows that were placed before, at least `LEAK_COLUMNS` and `split` of each.
        ties: further keys that hang together.

    Raises:
        CurationError: no candidate is left.
        SplitLeakError: the split leaks.
    """
    facts, shard, place = _kept_facts(candidates)
    reasons, rulings = rules.selection.judge(facts)
    _drop_repeated(facts, reasons)
    wanted = np.array([reason is None for reason in reasons], bool)
    left_out = Counter(str(reason) for reason in reasons if reason)
    if not wanted.any():
        raise CurationError(f"{candidates.root}: none of {candidates.rows} candidates is left; left out: {left_out}")
    review = _review(facts, reasons, rulings)
    facts = _corrected(facts, rulings).filter(pa.array(wanted))
    keys, categories = leak_keys(facts), facts["category"].to_pylist()
    splits = assign_splits(keys, rules.shares, categories=categories, known=_placed(earlier), ties=ties)
    if leaks := crossing_keys(keys, splits):
        raise SplitLeakError(f"{len(leaks)} keys in two splits, among them {sorted(leaks)[:3]}")
    chosen = Facts(facts.append_column("split", pa.array(splits, pa.string())).select(FACTS))
    return Plan(chosen, shard[wanted], place[wanted], left_out, review)


def difference(rows: Facts, parent: Iterable[Facts]) -> dict[str, int]:
    """Rows added, removed, changed and unchanged since the parent; `moved` are those that changed their split."""
    now, then = _by_key([rows]), _by_key(parent)
    both = now.keys() & then.keys()
    changed = sum(now[key][0] != then[key][0] for key in both)
    return {
        "added": len(now) - len(both),
        "removed": len(then) - len(both),
        "changed": changed,
        "moved": sum(now[key][1] != then[key][1] for key in both),
        "unchanged": len(both) - changed,
    }


def _placed(earlier: Iterable[Facts]) -> tuple[pa.ListArray, list[str]]:
    """Keys and split of each row; once where versions say the same."""
    columns = [*LEAK_COLUMNS, "split"]
    tables = [pa.schema([PAIRS.field(name) for name in columns]).empty_table()]
    tables += [of.table.select(columns) for of in earlier]
    rows = pa.concat_tables(tables).group_by(columns).aggregate([])
    return leak_keys(rows), rows["split"].to_pylist()


def _kept_facts(candidates: ShardedTable) -> tuple[pa.Table, Places, Places]:
    """Facts of the kept candidates, the number of each one's shard, and its place among the kept ones there."""
    columns = [name for name in FACTS if name != "split"]
    tables = []
    for shard in candidates.shards:
        table = shard.table([*columns, "kept"])
        tables.append(table.filter(table["kept"]).select(columns))
    sizes = [len(table) for table in tables]
    places = np.concatenate([np.arange(size) for size in sizes])
    return pa.concat_tables(tables), np.repeat(np.arange(len(sizes)), sizes), places


def _drop_repeated(facts: pa.Table, reasons: list[PairDrop | None]) -> None:
    """Leave out what an earlier row shows too: a photo that was posted again, byte for byte, pairs once.

    Such a photo represents its cluster in every post. `curation.matching` sees that within a shard only.
    """
    seen: set[str] = set()
    keys = pc.binary_join_element_wise(facts["photo_cluster_id"], facts["product_cluster_id"], "/").to_pylist()
    for row, key in enumerate(keys):
        if reasons[row] is None and key is not None:
            if key in seen:
                reasons[row] = PairDrop.DUPLICATE_PAIR
            seen.add(key)


def _corrected(facts: pa.Table, rulings: Mapping[int, Ruling]) -> pa.Table:
    """With the category that reviewers gave, where they gave one."""
    given: list[str | None] = [None] * len(facts)
    for row, ruling in rulings.items():
        given[row] = ruling.category
    place = facts.column_names.index("category")
    return facts.set_column(place, "category", pc.coalesce(pa.array(given, pa.string()), facts["category"]))


def _review(facts: pa.Table, reasons: Sequence[PairDrop | None], rulings: Mapping[int, Ruling]) -> dict[str, Any]:
    """What review did to the pairs that are left out for no other reason."""
    if not rulings:
        return review_summary([], [])
    asked = [place for place, reason in enumerate(reasons) if reason in (None, PairDrop.REJECTED)]
    rows = facts.select(["anchor_sha256", "positive_sha256"]).take(pa.array(asked)).to_pylist()
    return review_summary(rows, [rulings.get(place) for place in asked])


def _by_key(parts: Iterable[Facts]) -> dict[str, tuple[str, str]]:
    """Pair key → digest and split."""
    return {
        key: (digest, split)
        for part in parts
        for key, digest, split in zip(pair_keys(part.table), part.digests, part.splits, strict=True)
    }
