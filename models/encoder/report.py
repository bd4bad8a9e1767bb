"""Encoders and baselines on held-out pairs against the whole catalog: numbers and pictures of `encoder_report`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from curation.images import decode, try_decode
from curation.tables import ShardedTable
from curation.taxonomy import CATEGORIES
from models.card import metrics_of
from models.encoder.baselines import EmbedImages, histogram, perceptual_hash
from models.encoder.evaluate import Embedded, compare_measures, per_query, summarise, with_misses
from models.errors import MetricError
from models.statistics import FEWEST_CLUSTERS

EmbedByCategory = Callable[[Sequence[Image.Image], Sequence[str]], NDArray[np.float32]]
"""RGB pictures and the category of each → unit vectors (n, d)."""

Row = Mapping[str, Any]

_SPLIT: Final = "test"
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


def uniform(embed: EmbedImages) -> EmbedByCategory:
    """An encoder that treats all categories alike."""
    return lambda images, _: embed(images)


def by_category(encoders: Mapping[str, EmbedImages], other: EmbedImages) -> EmbedByCategory:
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


BASELINES: Final[Mapping[str, EmbedByCategory]] = {
    "histogram": uniform(histogram),
    "phash": uniform(perceptual_hash),
}


@dataclass(frozen=True)
class Example:
    """One query with what was found, for people."""

    query: Image.Image
    right: Image.Image
    found: list[Image.Image]  # nearest first
    category: str
    rank: int  # of the right product, from 1


@dataclass(frozen=True)
class Gallery:
    """The catalog as encoders see it."""

    embedded: dict[str, Embedded]  # by encoder; labels are products
    known: dict[tuple[str, str], str]  # (site, product id) → label


@dataclass(frozen=True)
class Report:
    """What `evaluate_encoders` measured; `numbers` is JSON-able."""

    numbers: dict[str, Any]
    worst: list[Example]  # of the first encoder
    measures: dict[str, dict[str, NDArray[np.float64]]]  # by encoder, of each query, with the category filter
    products: NDArray[Any]  # of each query
    gallery: Gallery


def evaluate_encoders(
    encoders: Mapping[str, EmbedByCategory],
    pairs: Path,
    catalog: ShardedTable,
    *,
    clusters: Mapping[str, str] | None = None,
    product_of: Callable[[Row], tuple[str, str] | None] | None = None,
    examples: int = 12,
) -> Report:
    """Search the whole catalog for the crops of the test split.

    Args:
        encoders: name → embedding function; `BASELINES` can be merged in. One pass over the pictures serves all.
        pairs: pair dataset directory.
        catalog: table of `curation.schemas.CATALOG`; etc and broken pictures are left out.
        clusters: sha256 of a thumbnail → near-duplicate cluster, so that a product is known across sites.
        product_of: the (site, product id) that a pair's crop shows, where the truth is known; None leaves the row out.
            Without it a pair is taken at its word.
        examples: number of worst queries to return as pictures.

    Returns:
        `numbers`: `queries`, `gallery`, `not_in_catalog`, `other_category` (in the catalog, under another category:
        counted as misses when the category filters); under `encoders` per name the summaries (see
        `models.encoder.evaluate.summarise`) `filtered` by category and `unfiltered`; and under `comparisons` the first
        encoder's differences to each other one, filtered, with intervals and p-values.

    Raises:
        MetricError: no query has its product in the catalog.
    """
    gallery = read_gallery(catalog, encoders, clusters or {})
    rows, vectors = _embed(_pair_pictures(pairs), encoders)
    labels = set(gallery.known.values())
    named = [_label(row, gallery.known, labels, product_of) for row in rows]
    used = np.array([label is not None for label in named], bool)
    if not used.any():
        raise MetricError(f"none of {len(named)} {_SPLIT} pairs has its product in the catalog of {len(labels)}")
    keys = np.array([label or "" for label in named]), np.array([row["category"] for row in rows])
    queries = {name: Embedded(vectors[name], *keys).take(used) for name in encoders}
    products = keys[0][used]
    measures, summaries, elsewhere = _measured(queries, gallery.embedded, products)
    first, *others = encoders
    numbers = {
        "split": _SPLIT,
        "queries": int(used.sum()),
        "gallery": len(gallery.embedded[first].labels),
        "not_in_catalog": int((~used).sum()),
        "other_category": elsewhere,
        "encoders": summaries,
        "comparisons": _comparisons(measures, first, others, products),
    }
    shown = _Shown(queries[first], gallery.embedded[first], measures[first]["rank"], np.flatnonzero(used))
    worst = _worst(shown, examples, lambda: _catalog_pictures(catalog), lambda: _pair_pictures(pairs))
    return Report(numbers, worst, measures, products, gallery)


def read_gallery(
    catalog: ShardedTable, encoders: Mapping[str, EmbedByCategory], clusters: Mapping[str, str]
) -> Gallery:
    """Embed the catalog with every encoder in one pass. Raises `MetricError` when it has no usable picture."""
    rows, vectors = _embed(_catalog_pictures(catalog), encoders)
    labels = [clusters.get(row["sha256"], row["sha256"]) for row in rows]
    keys = np.array(labels), np.array([row["category"] for row in rows])
    known = {(row["site"], row["product_id"]): label for row, label in zip(rows, labels, strict=True)}
    return Gallery({name: Embedded(vectors[name], *keys) for name in encoders}, known)


def _measured(
    queries: Mapping[str, Embedded], gallery: Mapping[str, Embedded], products: NDArray[Any]
) -> tuple[dict[str, dict[str, NDArray[np.float64]]], dict[str, Any], int]:
    """Each encoder's measures of each query with the category filter, its summaries, and the number of queries whose
    product is in the catalog under another category."""
    measures, summaries = {}, {}
    for name, asked in queries.items():
        measures[name], outside = with_misses(asked, gallery[name])
        if outside.all():
            raise MetricError("no query's product is in the catalog under the query's category")
        plain = per_query(asked, gallery[name], by_category=False)
        summaries[name] = {
            "filtered": summarise(measures[name], asked.categories, products),
            "unfiltered": summarise(plain, asked.categories, products),
        }
    return measures, summaries, int(outside.sum())


def _comparisons(
    measures: Mapping[str, Mapping[str, NDArray[np.float64]]],
    first: str,
    others: Sequence[str],
    products: NDArray[Any],
) -> dict[str, Any]:
    """The first encoder against each other one; nothing where all queries are of one product."""
    if len(np.unique(products)) < FEWEST_CLUSTERS:
        return {}
    return {f"{first} - {name}": compare_measures(measures[first], measures[name], products) for name in others}


@dataclass(frozen=True)
class _Shown:
    """Queries of which the worst are shown."""

    queries: Embedded
    gallery: Embedded
    rank: NDArray[np.float64]
    places: NDArray[np.int64]  # in the stream of pictures


def _worst(
    shown: _Shown,
    count: int,
    thumbnails: Callable[[], Iterator[tuple[Row, Image.Image]]],
    crops: Callable[[], Iterator[tuple[Row, Image.Image]]],
) -> list[Example]:
    """The queries whose product was found last, with what was found instead."""
    worst = np.argsort(-shown.rank, kind="stable")[:count].tolist()
    nearest = {row: _nearest(shown.queries, shown.gallery, row) for row in worst}
    catalog = _pick(thumbnails(), {place for places in nearest.values() for place in places})
    photos = _pick(crops(), {int(shown.places[row]) for row in worst})
    return [
        Example(
            photos[int(shown.places[row])],
            catalog[right],
            [catalog[place] for place in found],
            str(shown.queries.categories[row]),
            int(shown.rank[row]),
        )
        for row, (right, *found) in nearest.items()
    ]


def card_metrics(numbers: Mapping[str, Any], encoder: str) -> dict[str, Any]:
    """What a model card says of an encoder in a report: every measure with its interval, and what sets it apart.

    Args:
        numbers: of a `Report`.
        encoder: its name there, the first.
    """
    filtered, unfiltered = (numbers["encoders"][encoder][name] for name in ("filtered", "unfiltered"))
    parts = {"": filtered["overall"], "in all categories": unfiltered["overall"]}
    parts |= {f"of {name}": part for name, part in filtered["by_category"].items()}
    parts |= {f"minus {name.removeprefix(f'{encoder} - ')}": of for name, of in numbers["comparisons"].items()}
    return metrics_of(parts)


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


def _nearest(queries: Embedded, gallery: Embedded, row: int, count: int = 5) -> list[int]:
    """Places of the right picture and then of the `count` nearest ones of the query's category."""
    scores = gallery.vectors @ queries.vectors[row]
    right = np.flatnonzero(gallery.labels == queries.labels[row])
    best = int(right[scores[right].argmax()])
    own = np.flatnonzero(gallery.categories == queries.categories[row])
    return [best, *own[np.argsort(-scores[own], kind="stable")[:count]].tolist()]


def _embed(
    pictures: Iterator[tuple[Row, Image.Image]], encoders: Mapping[str, EmbedByCategory]
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
                image = try_decode(row.pop("bytes")) if row["category"] in CATEGORIES else None
                if image is not None:  # else the catalog's own table says why
                    yield row, image


def _pair_pictures(pairs: Path) -> Iterator[tuple[Row, Image.Image]]:
    for path in sorted(pairs.glob(f"{_SPLIT}-*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(_PAIR_COLUMNS)):
                for row in batch.to_pylist():
                    yield row, decode(row.pop("anchor")["bytes"])


def _pick(pictures: Iterator[tuple[Row, Image.Image]], places: set[int]) -> dict[int, Image.Image]:
    """Small copies of the pictures at some places of a stream, which is read no further than needed."""
    chosen: dict[int, Image.Image] = {}
    for place, (_, image) in enumerate(islice(pictures, max(places, default=-1) + 1)):
        if place in places:
            image.thumbnail((_TILE, _TILE))
            chosen[place] = image
    return chosen
