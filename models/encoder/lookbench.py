"""LookBench (arXiv:2601.14706): an encoder on somebody else's queries and galleries, by that benchmark's own measures.

A folder holds what the hub's `srpone/look-bench` does: `<subset>/{query,gallery}.parquet` for four subsets, and in
`noise` pictures that join every gallery. All of it may be below a folder of the release (`v20251201`). A query is the
picture in column `image`, which is a crop already.

Right is what has the query's label: *fine* its category and main attribute, *coarse* its category, *item* its item. Its
paper speaks of subsets of attributes and of graded gains; its code, and the figures it reports, compare labels. All
measures stop at a rank: recall@k is 1 where anything right is among the k first; MRR and mAP see the 20 first, nDCG the
5 first. A query of which the gallery holds nothing right counts as 0.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from curation.images import decode
from models.encoder.evaluate import RANKS, summarise
from models.errors import DataError

SUBSETS: Final = ("real_studio_flat", "aigen_studio", "real_streetlook", "aigen_streetlook")
NOISE: Final = "noise"
LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "fine": ("category", "main_attribute"),
    "coarse": ("category",),
    "item": ("item_ID",),
}
"""Columns whose equality makes a gallery picture right."""

_NOBODY: Final = "\0"  # label of noise, which is right for no query
_COLUMNS: Final = ("category", "main_attribute", "item_ID")
_DEEPEST: Final = max(RANKS)
_NDCG_DEPTH: Final = 5
_ROWS_AT_ONCE: Final = 64  # decoded pictures of a batch
_QUERIES_AT_ONCE: Final = 64  # whose similarities to a gallery are held

Group = TypeVar("Group")
Tag = TypeVar("Tag")


class Embedding(Protocol):
    """What is asked of an encoder: `models.encoder.infer.Encoder.embed_each`."""

    def embed_each(
        self, groups: Iterator[Group], load: Callable[[Group], tuple[Tag, Sequence[Image.Image]]]
    ) -> Iterator[tuple[Tag, NDArray[np.float32]]]:
        """Vectors of groups of pictures."""


@dataclass(frozen=True)
class Shown:
    """Embedded pictures and what is known of each."""

    vectors: NDArray[np.float32]  # (n, d), unit length
    facts: dict[str, NDArray[np.str_]]  # column → (n,)

    def labels(self, level: str) -> NDArray[np.str_]:
        """What must be equal at a level."""
        return np.array(["|".join(parts) for parts in zip(*(self.facts[name] for name in LEVELS[level]), strict=True)])


def evaluate_lookbench(encoder: Embedding, data: Path) -> dict[str, Any]:
    """Measure an encoder on every subset that is there.

    Returns:
        Per level of `LEVELS`: `overall` (queries weigh alike) and `by_subset`, as `models.encoder.evaluate.summarise`
        gives them, with 95 % intervals by the bootstrap over the queries' items. Besides, the `release`'s name, and
        `galleries`: pictures in each, with noise.

    Raises:
        DataError: the folder holds no subset, no noise, or a file lacks a column.
    """
    root = find_release(data)
    subsets = [name for name in SUBSETS if (root / name).is_dir()]
    noise = _embedded(encoder, sorted((root / NOISE).glob("*.parquet")), known=False)
    measures: dict[str, list[dict[str, NDArray[np.float64]]]] = {level: [] for level in LEVELS}
    items, names, galleries = [], [], {}
    for subset in subsets:
        queries = _embedded(encoder, [root / subset / "query.parquet"])
        gallery = _joined(_embedded(encoder, [root / subset / "gallery.parquet"]), noise)
        for level in LEVELS:
            right = queries.labels(level), gallery.labels(level)
            measures[level].append(measure(queries.vectors, right[0], gallery.vectors, right[1]))
        items.append(queries.facts["item_ID"])
        names += [subset] * len(queries.vectors)
        galleries[subset] = len(gallery.vectors)
    summaries = {
        level: summarise(_stacked(parts), np.array(names), np.concatenate(items)) for level, parts in measures.items()
    }
    return {
        "release": root.name,
        "galleries": galleries,
        **{
            level: {"overall": found["overall"], "by_subset": found["by_category"]}
            for level, found in summaries.items()
        },
    }


def measure(
    queries: NDArray[np.float32],
    wanted: NDArray[np.str_],
    gallery: NDArray[np.float32],
    labels: NDArray[np.str_],
) -> dict[str, NDArray[np.float64]]:
    """`r@k`, `mrr@20`, `map@20` and `ndcg@5` of each query, in the benchmark's definitions.

    Where pictures are equally similar, wrong ones rank before right ones.

    Args:
        queries: (n, d), unit length.
        wanted: (n,) label of each.
        gallery: (m, d), unit length.
        labels: (m,).
    """
    known, codes = np.unique(np.concatenate([wanted, labels]), return_inverse=True)
    wanted_codes, codes = codes[: len(wanted)], codes[len(wanted) :]
    totals = np.bincount(codes, minlength=len(known))[wanted_codes]
    depth = min(_DEEPEST, len(gallery))
    hits = np.zeros((len(queries), _DEEPEST), bool)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        for row, scores in enumerate(queries[part] @ gallery.T, start):
            near = np.flatnonzero(scores >= np.partition(scores, -depth)[-depth])  # more than `depth` where some tie
            right = codes[near] == wanted_codes[row]
            hits[row, :depth] = right[np.lexsort((right, -scores[near]))][:depth]
    return _measures(hits, totals)


def find_release(data: Path) -> Path:
    """The folder that holds the subsets: `data`, or the newest release below it. Raises `DataError`."""
    for folder in (data, *sorted(data.glob("v*"), reverse=True)):
        if any((folder / name).is_dir() for name in SUBSETS):
            if not list((folder / NOISE).glob("*.parquet")):
                raise DataError(
                    f"{folder} has no {NOISE}/*.parquet: without it every gallery is easier than it should be"
                )
            return folder
    raise DataError(f"{data} holds none of LookBench's subsets: {', '.join(SUBSETS)}")


def _embedded(encoder: Embedding, files: Sequence[Path], *, known: bool = True) -> Shown:
    """Pictures of some files, in order. Of pictures that are not `known`, labels are left out."""
    facts: dict[str, list[str]] = {name: [] for name in _COLUMNS}
    parts: list[NDArray[np.float32]] = []
    for rows, vectors in encoder.embed_each(_batches(files), _loaded):
        parts.append(vectors)
        for name in _COLUMNS:
            facts[name] += [_plain(row[name]) if known else _NOBODY for row in rows]
    if not parts:
        raise DataError(f"{', '.join(map(str, files))}: no row")
    return Shown(np.concatenate(parts), {name: np.array(values, np.str_) for name, values in facts.items()})


def _batches(files: Sequence[Path]) -> Iterator[list[dict[str, Any]]]:
    for path in files:
        if not path.is_file():
            raise DataError(f"{path} is missing")
        with pq.ParquetFile(path) as file:
            missing = sorted({"image", *_COLUMNS} - set(file.schema_arrow.names))
            if missing:
                raise DataError(f"{path} lacks the columns {', '.join(missing)}")
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["image", *_COLUMNS]):
                yield batch.to_pylist()


def _loaded(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    return rows, [decode(row["image"]["bytes"]) for row in rows]


def _plain(value: Any) -> str:
    """A label as it is compared: files differ in case and spaces."""
    return "" if value is None else str(value).strip().lower()


def _joined(gallery: Shown, noise: Shown) -> Shown:
    facts = {name: np.concatenate([gallery.facts[name], noise.facts[name]]) for name in _COLUMNS}
    return Shown(np.concatenate([gallery.vectors, noise.vectors]), facts)


def _measures(hits: NDArray[np.bool_], totals: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """From what is right among the 20 first, (n, 20), and how many of the gallery are right, (n,)."""
    places = np.arange(1, hits.shape[1] + 1)
    discounts = 1 / np.log2(places + 1)
    some = hits.any(1)
    best = np.maximum(1, np.minimum(totals, _DEEPEST))
    ideal = np.cumsum(discounts)[np.minimum(best, _NDCG_DEPTH) - 1]
    gained = (hits * discounts)[:, :_NDCG_DEPTH].sum(1)
    return {
        **{f"r@{k}": hits[:, :k].any(1).astype(np.float64) for k in RANKS},
        f"mrr@{_DEEPEST}": some / (hits.argmax(1) + 1),
        f"map@{_DEEPEST}": (hits * hits.cumsum(1) / places).sum(1) / best,
        f"ndcg@{_NDCG_DEPTH}": gained / ideal,
    }


def _stacked(parts: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
