"""The distinct pictures of a table of hashes: who they are, where they were seen, and their colour layouts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.duplicates import Hashes, Indices
from curation.hashing import as_layouts
from curation.leaders import by_precedence
from curation.schemas import LAYOUT_BYTES, PICTURES
from curation.tables import Shard, conform

_SOURCE: Final = [name for name in PICTURES.names if name not in ("catalog", "pixels")]


def pictures_of(shard: Shard) -> pa.Table:
    """HASHES shard → PICTURES rows, ordered by role and sha256."""
    frame = shard.table([*_SOURCE, "width", "height"]).to_pandas()
    frame["catalog"] = frame["role"] == "catalog"
    frame["role"] = frame["role"].where(~frame["catalog"], "product")
    frame["pixels"] = frame["width"].astype(np.int64) * frame["height"]
    first = by_precedence(frame).drop_duplicates(["role", "sha256"]).sort_values(["role", "sha256"])
    return conform(pa.Table.from_pandas(first[PICTURES.names], preserve_index=False), PICTURES, shard.name)


@dataclass(frozen=True)
class PictureSet:
    """All pictures of one role. A picture (by content) may have several rows: one for each shard that shows it."""

    role: str
    table: pa.Table  # PICTURES rows, in order of their shards
    bounds: Indices  # rows of shard s: bounds[s] … bounds[s + 1]
    codes: Indices  # (rows,): which picture
    keys: pa.StringArray  # (pictures,): sha256
    first: Indices  # (pictures,): one of its rows

    @classmethod
    def of(cls, role: str, shards: Sequence[pa.Table]) -> "PictureSet":
        """The pictures of a role in PICTURES tables, one for each shard."""
        parts = [part.filter(pc.equal(part["role"], role)) for part in shards]
        table = pa.concat_tables([PICTURES.empty_table(), *parts]).combine_chunks()
        encoded = table["sha256"].combine_chunks().dictionary_encode()
        codes = encoded.indices.to_numpy().astype(np.int64)
        first = np.empty(len(encoded.dictionary), np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        bounds = np.cumsum([0] + [len(part) for part in parts])
        return cls(role, table, bounds, codes, encoded.dictionary, first)

    def hashes(self, column: str) -> Hashes:
        """`phash` or `dhash` of each picture."""
        return np.asarray(self.table[column].to_numpy()[self.first])

    def flags(self, column: str, value: object = True) -> npt.NDArray[np.bool_]:
        """Whether a column of each picture has a value."""
        return np.asarray(pc.equal(self.table[column], value).to_numpy())[self.first]

    def find(self, keys: pa.Array) -> Indices:
        """Pictures by sha256; -1 for those that are not here."""
        found = pc.fill_null(pc.index_in(keys, self.keys), -1)
        return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)

    def layouts(self, pictures: Indices, hashes: Sequence[Shard]) -> npt.NDArray[np.uint8]:
        """Colour layouts, (n, cells · 3), read from the HASHES shards in which the pictures were seen."""
        layouts = np.empty((len(pictures), LAYOUT_BYTES), np.uint8)
        shard_of = np.searchsorted(self.bounds, self.first[pictures], side="right") - 1
        for number in np.unique(shard_of):
            here = np.flatnonzero(shard_of == number)
            layouts[here] = layouts_of(hashes[number], self.keys.take(pa.array(pictures[here])))
        return layouts


def layouts_of(shard: Shard, keys: pa.Array) -> npt.NDArray[np.uint8]:
    """Colour layouts, (n, cells · 3), of pictures of a HASHES shard by their sha256; other row groups are not read."""
    with shard.open() as file:
        ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
        rows = pc.index_in(keys, file.read(["sha256"])["sha256"].combine_chunks()).to_numpy()
        groups, group_of = np.unique(np.searchsorted(ends, rows, side="right"), return_inverse=True)
        sizes = np.diff(ends, prepend=0)[groups]
        read = np.cumsum(sizes) - sizes  # where each group begins in what is read
        layouts = as_layouts(file.read_row_groups(groups.tolist(), ["colour"])["colour"].to_pylist())
    return np.asarray(layouts[rows - (ends[groups] - sizes)[group_of] + read[group_of]])
