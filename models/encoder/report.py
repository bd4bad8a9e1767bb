"""Encoders and baselines on held-out pairs against the whole catalog: numbers and pictures of `encoder_report`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from curation.errors import ImageError
from curation.images import decode
from curation.tables import ShardedTable
from curation.taxonomy import CATEGORIES
from models.encoder.baselines import histogram, perceptual_hash
from models.encoder.evaluate import Embedded, per_query, summarise
from models.errors import MetricError

Plain = Callable[[Sequence[Image.Image]], NDArray[np.float32]]
"""RGB pictures → unit vectors (n, d)."""
Embed = Callable[[Sequence[Image.Image], Sequence[str]], NDArray[np.float32]]
"""RGB pictures and the category of each → unit vectors (n, d)."""

Row = Mapping[str, Any]

_ROWS_AT_ONCE: Final = 64  # decoded pictures held in memory
_CATALOG_COLUMNS: Final = ("site", "product_id", "category", "sha256", "bytes")
_PAIR_COLUMNS: Final = (
    "site",
    "post_id",
    "photo_position",
    "product_id",
    "product_cluster_id",
    "category",
    "box",
    "anchor",
)
_TILE: Final = 128  # px, longest side of an example's pictures


def uniform(embed: Plain) -> Embed:
    """An encoder that treats all categories alike."""
    return lambda images, _: embed(images)


def by_category(encoders: Mapping[str, Plain], other: Plain) -> Embed:
    """One encoder per category, and `other` where a category has none. All must have vectors of one length."""

    def embed(images: Sequence[Image.Image], categories: Sequence[str]) -> NDArray[np.float32]:
        names = np.array(categories)
        parts = {name: np.flatnonzero(names == name) for name in np.unique(names)}
        vectors = {name: encoders.get(name, other)([images[int(row)] for row in rows]) for name, rows in parts.items()}
        result = np.empty((len(images), next(iter(vectors.values())).shape[1]), np.float32)
        for name, rows in parts.items():
            result[rows] = vectors[name]
        return result

    return embed


BASELINES: Final[Mapping[str, Embed]] = {"histogram": uniform(histogram), "phash": uniform(perceptual_hash)}


@dataclass(frozen=True)
class Example:
    """One query with what was found, for people."""

    query: Image.Image
    right: Image.Image
    found: list[Image.Image]  # nearest first
    category: str
    rank: int  # of the right product, from 1


@dataclass(frozen=True)
class Report:
    """What `evaluate_encoders` measured; `numbers` is JSON-able."""

    numbers: dict[str, Any]
    worst: list[Example]  # of the first encoder


def evaluate_encoders(
    encoders: Mapping[str, Embed],
    pairs: Path,
    catalog: ShardedTable,
    *,
    split: str = "test",
    clusters: Mapping[str, str] | None = None,
    product_of: Callable[[Row], tuple[str, str] | None] | None = None,
    examples: int = 12,
) -> Report:
    """Search the whole catalog for the crops of a split.

    Args:
        encoders: name → embedding function; `BASELINES` can be merged in. One pass over the pictures serves all.
        pairs: pair dataset directory.
        catalog: table of `curation.schemas.CATALOG`; etc and broken pictures are left out.
        split: of the pairs.
        clusters: sha256 of a thumbnail → near-duplicate cluster, so that a product is known across sites.
        product_of: the (site, product id) that a pair's crop shows, where the truth is known; None leaves the row out.
            Without it a pair is taken at its word.
        examples: number of worst queries to return as pictures.

    Returns:
        `numbers`: `queries`, `gallery`, `not_in_catalog`, `other_category` (in the catalog, under another category:
        counted as misses when the category filters), and under `encoders` per name the summaries (see
        `models.encoder.evaluate.summarise`) `filtered` by category and `unfiltered`.

    Raises:
        MetricError: no query of the split has its product in the catalog.
    """
    gallery_rows, gallery_vectors = _embed(_catalog_pictures(catalog), encoders)
    labels = [(clusters or {}).get(row["sha256"], row["sha256"]) for row in gallery_rows]
    known = {(row["site"], row["product_id"]): label for row, label in zip(gallery_rows, labels, strict=True)}
    query_rows, query_vectors = _embed(_pair_pictures(pairs, split), encoders)
    named = [_label(row, known, set(labels), product_of) for row in query_rows]
    used = np.array([label is not None for label in named], bool)
    if not used.any():
        raise MetricError(f"none of {len(named)} {split} pairs has its product in the catalog of {len(labels)}")
    gallery_keys = np.array(labels), np.array([row["category"] for row in gallery_rows])
    query_keys = np.array([label or "" for label in named]), np.array([row["category"] for row in query_rows])
    numbers: dict[str, Any] = {"split": split, "queries": int(used.sum()), "gallery": len(labels)}
    numbers["not_in_catalog"] = int((~used).sum())
    numbers["encoders"] = {}
    ranks: dict[str, NDArray[np.float64]] = {}
    for name in encoders:
        gallery = Embedded(gallery_vectors[name], *gallery_keys)
        queries = Embedded(query_vectors[name], *query_keys).take(used)
        filtered, outside = _with_misses(queries, gallery)
        ranks[name] = filtered["rank"]
        numbers["other_category"] = int(outside.sum())
        numbers["encoders"][name] = {
            "filtered": summarise(filtered, queries.categories, queries.labels),
            "unfiltered": summarise(per_query(queries, gallery, by_category=False), queries.categories, queries.labels),
        }
    first = next(iter(encoders))
    worst = np.flatnonzero(used)[np.argsort(-ranks[first], kind="stable")[:examples]]
    rank_of = dict(zip(np.flatnonzero(used).tolist(), ranks[first].tolist(), strict=True))
    queries = Embedded(query_vectors[first], *query_keys)
    gallery = Embedded(gallery_vectors[first], *gallery_keys)
    nearest = {int(row): _nearest(queries, gallery, int(row)) for row in worst}
    thumbnails = _pick(_catalog_pictures(catalog), {place for places in nearest.values() for place in places})
    crops = _pick(_pair_pictures(pairs, split), set(nearest))
    return Report(
        numbers,
        [
            Example(crops[row], thumbnails[right], [thumbnails[place] for place in found], category, int(rank_of[row]))
            for row, (right, *found) in nearest.items()
            for category in [str(queries.categories[row])]
        ],
    )


def _label(
    row: Row,
    known: Mapping[tuple[str, str], str],
    labels: set[str],
    product_of: Callable[[Row], tuple[str, str] | None] | None,
) -> str | None:
    """Name of the product that a crop shows, if the catalog has it: by its id, else by its thumbnail's cluster."""
    key = (row["site"], row["product_id"]) if product_of is None else product_of(row)
    if key is None:
        return None
    if key in known:
        return known[key]
    cluster = row["product_cluster_id"] if product_of is None else None
    return str(cluster) if cluster in labels else None


def _with_misses(queries: Embedded, gallery: Embedded) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
    """Measures with the category filter; a product filed under another category cannot be found: zeros, last rank."""
    filed = set(zip(gallery.labels.tolist(), gallery.categories.tolist(), strict=True))
    pairs = zip(queries.labels.tolist(), queries.categories.tolist(), strict=True)
    outside = np.array([pair not in filed for pair in pairs], bool)
    if outside.all():
        raise MetricError("no query's product is in the catalog under the query's category")
    found = per_query(queries.take(~outside), gallery)
    result = {}
    for name, values in found.items():
        result[name] = np.full(len(outside), float(len(gallery.labels)) if name == "rank" else 0.0)
        result[name][~outside] = values
    return result, outside


def _nearest(queries: Embedded, gallery: Embedded, row: int, count: int = 5) -> list[int]:
    """Places of the right picture and then of the `count` nearest ones of the query's category."""
    scores = gallery.vectors @ queries.vectors[row]
    right = np.flatnonzero(gallery.labels == queries.labels[row])
    best = int(right[scores[right].argmax()])
    own = np.flatnonzero(gallery.categories == queries.categories[row])
    return [best, *own[np.argsort(-scores[own], kind="stable")[:count]].tolist()]


def _embed(
    pictures: Iterator[tuple[Row, Image.Image]], encoders: Mapping[str, Embed]
) -> tuple[list[Row], dict[str, NDArray[np.float32]]]:
    """Rows without their pictures, and each encoder's vectors, in one pass."""
    rows: list[Row] = []
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in encoders}
    held: list[Image.Image] = []

    def flush() -> None:
        categories = [row["category"] for row in rows[-len(held) :]]
        for name, embed in encoders.items():
            parts[name].append(embed(held, categories))
        held.clear()

    for row, image in pictures:
        rows.append(row)
        held.append(image)
        if len(held) == _ROWS_AT_ONCE:
            flush()
    if held:
        flush()
    if not rows:
        raise MetricError("no usable picture to embed")
    return rows, {name: np.concatenate(vectors) for name, vectors in parts.items()}


def _catalog_pictures(catalog: ShardedTable) -> Iterator[tuple[Row, Image.Image]]:
    for shard in catalog.shards:
        for batch in shard.batches(_CATALOG_COLUMNS, rows=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                data = row.pop("bytes")
                if data is None or row["category"] not in CATEGORIES:
                    continue
                try:
                    image = decode(data)
                except ImageError:  # the catalog's own table says why
                    continue
                yield row, image


def _pair_pictures(pairs: Path, split: str) -> Iterator[tuple[Row, Image.Image]]:
    for path in sorted(pairs.glob(f"{split}-*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(_PAIR_COLUMNS)):
                for row in batch.to_pylist():
                    yield row, decode(row.pop("anchor")["bytes"])


def _pick(pictures: Iterator[tuple[Row, Image.Image]], places: set[int]) -> dict[int, Image.Image]:
    """Small copies of the pictures at some places of a stream."""
    chosen = {}
    for place, (_, image) in enumerate(pictures):
        if place in places:
            image.thumbnail((_TILE, _TILE))
            chosen[place] = image
    return chosen
