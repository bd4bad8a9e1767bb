"""Made-up embeddings of a catalog: clustered as a trained encoder's are, in seven categories."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.schemas import EMBEDDINGS
from curation.tables import ShardedTable, write_shard
from curation.taxonomy import CATEGORIES

Vectors = npt.NDArray[np.float32]

NAMES: Final = tuple(sorted(CATEGORIES))
_STYLES: Final = 300  # clusters per category; some hold far more products than others
_WITHIN: Final = 0.6  # spread of a style, in units of the spread of the styles
_AWAY: Final = 0.5  # of a query from the product that it shows: its cosine is about 0.9
_CHUNK: Final = 100_000


@dataclass(frozen=True)
class Catalog:
    """Vectors in order of category, and queries that each look like one of them."""

    vectors: Vectors  # (n, d), unit length
    categories: npt.NDArray[np.int64]  # (n,), places in NAMES, ascending
    queries: Vectors  # (m, d)
    own: npt.NDArray[np.int64]  # (m,), category of the product that the query shows


def made_up(count: int, dim: int = 128, queries: int = 1000, seed: int = 1) -> Catalog:
    """Draw a catalog.

    Later dimensions vary less, as after a principal component analysis of real embeddings; categories have a place of
    their own, styles theirs within it. A query's best product has a cosine of about 0.9, its tenth of 0.8, and the best
    of another category 0.45.
    """
    rng = np.random.default_rng(seed)
    scale = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
    scale /= np.linalg.norm(scale)
    categories = np.sort(rng.integers(0, len(NAMES), count))
    places = rng.standard_normal((len(NAMES), 1, dim), np.float32) * scale
    styles = places + rng.standard_normal((len(NAMES), _STYLES, dim), np.float32) * scale
    shares = 1 / np.arange(1, _STYLES + 1) ** 0.7
    style = rng.choice(_STYLES, count, p=shares / shares.sum())
    vectors = np.empty((count, dim), np.float32)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        centres = styles[categories[part], style[part]]
        vectors[part] = _unit(centres + _WITHIN * rng.standard_normal(centres.shape, np.float32) * scale)
    shown = rng.integers(0, count, queries)
    noise = rng.standard_normal((queries, dim), np.float32) * scale
    return Catalog(vectors, categories, _unit(vectors[shown] + _AWAY * noise), categories[shown])


def as_table(catalog: Catalog, root: Path) -> ShardedTable:
    """The catalog as `curation.schemas.EMBEDDINGS`, one shard per category; a product's id is its place in it."""
    for place, name in enumerate(NAMES):
        rows = np.flatnonzero(catalog.categories == place)
        parts = (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
        batches = (_batch(catalog.vectors[part], part, name) for part in parts)
        write_shard(root, f"kream/{name}", EMBEDDINGS, batches, fingerprint=f"{len(catalog.vectors)}-{name}")
    return ShardedTable(root)


def _batch(vectors: Vectors, rows: npt.NDArray[np.int64], category: str) -> pa.Table:
    count, dim = vectors.shape
    numbers = pa.array(rows).cast(pa.string())
    constant = {"site": "kream", "category": category, "encoder_version": "made-up", "image_url": "", "sha256": ""}
    named = dict.fromkeys(("product_id", "product_name", "product_url"), numbers)
    columns = {
        **{name: pa.repeat(value, count) for name, value in constant.items()},
        **named,
        "brand": pa.array([f"brand {row % 500}" for row in rows.tolist()]),
        "price": pa.array(10_000 + 1_000 * (rows % 190)),
        "thumbnail": pa.repeat(pa.scalar(b"-", pa.large_binary()), count),
        "vector": pa.ListArray.from_arrays(pa.array(range(0, count * dim + 1, dim), pa.int32()), vectors.ravel()),
    }
    return pa.table({name: columns[name] for name in EMBEDDINGS.names}, schema=EMBEDDINGS)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
