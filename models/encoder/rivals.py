"""What a tagged product has to win against: the shop's other products of its class, as an encoder sees them.

People tag a sibling of what they wear: the same shirt with another print. Crop and thumbnail then look alike, but
another thumbnail looks more like the crop.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.images import decode
from curation.pair_rows import product_of
from curation.places import Place
from curation.schemas import RIVALS
from curation.tables import Shard, ShardedTable, fingerprint, rows_to_batch, write_shard
from models.encoder.baselines import EmbedImages

_NEAREST: Final = 5  # rivals that count: their number must not grow with the shop's
_SHARPNESS: Final = 0.05  # cosine by which a rival must be nearer to be e times as likely
_AT_ONCE: Final = 256  # thumbnails in memory
_NAMES: Final = ("site", "product_id", "product_cluster_id", "category", "positive_sha256")

Row = dict[str, Any]


def write_rivals(pairs: Sequence[ShardedTable], embed: EmbedImages, version: str, out: Place, name: str) -> None:
    """Write a RIVALS shard: one thumbnail of every product of some PAIRS tables, as an encoder of a version sees it."""

    def batches() -> Iterator[pa.RecordBatch]:
        products = _first_of_each(pairs)
        while some := list(islice(products, _AT_ONCE)):
            vectors = embed([decode(row["positive"]["bytes"]) for row in some])
            rows = [{**{key: row[key] for key in _NAMES}, "vector": v} for row, v in zip(some, vectors, strict=True)]
            yield rows_to_batch(rows, RIVALS)

    seen = fingerprint([version, *(table.fingerprint for table in pairs)])
    write_shard(out, name, RIVALS, batches(), fingerprint=seen)


def _first_of_each(pairs: Sequence[ShardedTable]) -> Iterator[Row]:
    seen: set[str | None] = set()
    batches = (batch for table in pairs for batch in table.batches([*_NAMES, "positive"]))
    for row in (row for batch in batches for row in batch.to_pylist()):
        if (product := product_of(row)) not in seen:
            seen.add(product)
            yield row


class Rivals:
    """The products of a RIVALS shard."""

    def __init__(self, shard: Shard) -> None:
        table = shard.table()
        self._products = np.array([product_of(row) for row in table.drop_columns("vector").to_pylist()])
        self._vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        categories = np.array(table["category"].to_pylist())
        self._of_class = {str(name): np.flatnonzero(categories == name) for name in np.unique(categories)}

    def preference(self, row: Row, crop: NDArray[np.float32], similarity: float) -> float:
        """Probability, 0-1, that a crop shows the product of a pair rather than one of its nearest rivals.

        Args:
            row: of the pair, as in CANDIDATES.
            crop: its vector, (d,).
            similarity: its cosine with the pair's own thumbnail.
        """
        known = self._of_class.get(row["category"], np.empty(0, np.int64))
        rivals = known[self._products[known] != product_of(row)]
        nearest = np.sort(self._vectors[rivals] @ crop)[-_NEAREST:]
        return float(1 / (1 + np.exp((nearest - similarity) / _SHARPNESS).sum()))
