"""From matches to verdicts: which pictures are one, which of them is kept, and why."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.duplicates import Indices, Matches
from curation.leaders import Evidence, by_precedence, decided_by, leaders
from curation.pictures import PictureSet
from curation.schemas import CLUSTERS
from curation.tables import conform, fingerprint

_DISTANCES = ("phash", "dhash", "colour", "luma")


@dataclass(frozen=True)
class Verdicts:
    """The verdict on every picture of a collection; arrays of (pictures,)."""

    pictures: PictureSet
    leader: Indices
    evidence: npt.NDArray[np.object_]
    kept_because: npt.NDArray[np.object_]
    distances: dict[str, npt.NDArray[np.float64]] = field(repr=False)

    @classmethod
    def of(cls, pictures: PictureSet, matches: Matches, crowded: npt.NDArray[np.bool_]) -> "Verdicts":
        """Cluster a collection by its matches; `crowded` pictures have none."""
        count = len(pictures.keys)
        evidence = np.full(count, Evidence.KEPT, object)
        evidence[crowded] = Evidence.CROWDED
        evidence[pictures.flags("blank")] = Evidence.BLANK
        distances = {name: np.zeros(count) for name in _DISTANCES}
        verdicts = cls(pictures, np.arange(count), evidence, np.full(count, None, object), distances)
        if len(matches.i):
            verdicts._lead(matches)
        return verdicts

    def _lead(self, matches: Matches) -> None:
        nodes = np.unique(np.concatenate([matches.i, matches.j]))
        rows = np.flatnonzero(np.isin(self.pictures.codes, nodes))
        frame = self.pictures.table.take(pa.array(rows)).to_pandas()
        frame["node"] = self.pictures.codes[rows]
        ranked = by_precedence(frame).drop_duplicates("node", ignore_index=True)
        node_of = ranked["node"].to_numpy(np.int64)
        rank_of = np.zeros(len(self.leader), np.int64)
        rank_of[node_of] = np.arange(len(node_of))
        nearness = zip(*(getattr(matches, name).tolist() for name in _DISTANCES), strict=True)
        edges = list(zip(rank_of[matches.i].tolist(), rank_of[matches.j].tolist(), nearness, strict=True))
        records: list[Any] = ranked.to_dict("records")
        for rank, (leader, near) in leaders(len(ranked), edges).items():
            node, kept = node_of[rank], node_of[leader]
            self.leader[node] = kept
            self.evidence[node] = Evidence.NEAR_DUPLICATE
            self.kept_because[node] = decided_by(records[leader], records[rank])
            for name, value in zip(_DISTANCES, near, strict=True):
                self.distances[name][node] = value

    def digest(self, shard: int) -> str:
        """Changes when the verdict on any picture of a shard does; not when a copy of what is kept turns up."""
        codes = self._codes(shard)
        told = codes[np.isin(self.evidence[codes], [Evidence.KEPT, Evidence.BLANK], invert=True)]
        keys = [self.pictures.keys.take(pa.array(of)).to_pylist() for of in (told, self.leader[told])]
        columns = [*keys, self.evidence[told].tolist(), self.kept_because[told].tolist()]
        return fingerprint([*columns, *(values[told].tolist() for values in self.distances.values())])

    def rows(self, shard: int) -> pa.Table:
        """CLUSTERS rows of a shard."""
        low, high = self.pictures.bounds[shard : shard + 2]
        codes = self._codes(shard)
        table = self.pictures.table.slice(low, high - low)
        columns = {
            "cluster_id": self.pictures.keys.take(pa.array(self.leader[codes])),
            "is_representative": pa.array(self.leader[codes] == codes),
            "kept_because": pa.array(self.kept_because[codes].tolist(), pa.string()),
            **{f"{name}_distance": pa.array(values[codes]) for name, values in self.distances.items()},
            "evidence": pa.array(self.evidence[codes].tolist(), pa.string()),
        }
        for name, values in columns.items():
            table = table.append_column(name, values)
        return conform(table, CLUSTERS, "verdicts")

    def _codes(self, shard: int) -> Indices:
        low, high = self.pictures.bounds[shard : shard + 2]
        return self.pictures.codes[low:high]

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by evidence, and the size of the largest cluster."""
        values, counts = np.unique(self.evidence.astype(str), return_counts=True)
        largest = int(np.bincount(self.leader).max()) if len(self.leader) else 0
        return {**dict(zip(values.tolist(), counts.tolist(), strict=True)), "largest_cluster": largest}


def crowded(pictures: PictureSet, most: int) -> npt.NDArray[np.bool_]:
    """Pictures that share their perceptual hash with over `most` others, blank ones not counted."""
    phash = pictures.hashes("phash")
    plain = pictures.flags("blank")
    values, counts = np.unique(phash[~plain], return_counts=True)
    return np.asarray(~plain & np.isin(phash, values[counts > most + 1]))


def matches_of(pictures: PictureSet, table: pa.Table, usable: npt.NDArray[np.bool_]) -> Matches:
    """Stored MATCHES rows by index; those of pictures that are gone, or not `usable`, are left out."""
    rows = table.filter(pc.equal(table["role"], pictures.role))
    i, j = (pictures.find(rows[f"{side}_sha256"].combine_chunks()) for side in "ab")
    alive = (i >= 0) & (j >= 0)
    alive[alive] = usable[i[alive]] & usable[j[alive]]
    measured = [rows[f"{name}_distance"].to_numpy()[alive] for name in _DISTANCES]
    return Matches(i[alive], j[alive], *measured)


def matches_table(pictures: PictureSet, matches: Matches) -> pa.Table:
    """Matches as MATCHES rows, without distinction of order: for the store."""
    a, b = (np.asarray(pictures.keys.take(pa.array(side)).to_pylist(), object) for side in (matches.i, matches.j))
    swap = a > b
    low, high = np.where(swap, b, a), np.where(swap, a, b)
    columns = {f"{name}_distance": getattr(matches, name) for name in _DISTANCES}
    sides = {"a_sha256": low.tolist(), "b_sha256": high.tolist()}
    return pa.table({"role": [pictures.role] * len(a), **sides, **columns})
