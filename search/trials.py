"""Known answers put to the index: where does the product that was really worn come?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from PIL import Image

from curation.images import decode
from search.index import Hit
from search.protocols import Encoder, ProductIndex
from search.query import check_versions

_BATCH: Final = 64  # crops embedded at once


@dataclass(frozen=True, slots=True)
class Trial:
    """One crop, the product it shows, and what the index made of it."""

    crop: Image.Image
    category: str
    expected: str  # id in the index
    rank: int  # of the expected product within its category, from 1
    hits: tuple[Hit, ...]


def run_trials(
    encoder: Encoder, index: ProductIndex, known: Iterable[tuple[Image.Image, str]], top: int = 5
) -> Iterator[Trial]:
    """Search each crop in the category of its product.

    Args:
        encoder: the one that made the index.
        index: holds the products.
        known: crop and id of the product it shows (`<site>-<product id>`), streamed.
        top: hits kept per trial.

    Raises:
        VersionMismatchError: the index was made by another encoder.
        NotFoundError: a product is not in the index.
    """
    check_versions(encoder, index)
    stream = iter(known)
    while batch := list(islice(stream, _BATCH)):
        vectors = encoder.embed([crop for crop, _ in batch])
        for (crop, expected), vector in zip(batch, vectors, strict=True):
            category = index.product(expected).category
            hits = tuple(index.search(vector, category, top))
            yield Trial(crop, category, expected, index.rank(vector, expected), hits)


def known_pairs(dataset: Path, index: ProductIndex, split: str = "test") -> Iterator[tuple[Image.Image, str]]:
    """Crops of a split of the pair dataset and the ids of their products, streamed, for `run_trials`.

    Pairs of products that the index does not hold are left out: another site's product has another id there.
    """
    for path in sorted(dataset.glob(f"{split}-*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=["anchor", "site", "product_id"]):
                for row in batch.to_pylist():
                    product = f"{row['site']}-{row['product_id']}"
                    if product in index:
                        yield decode(row["anchor"]["bytes"]), product
