"""An opened version of the embedded index: nearest products of a vector, products by id, neighbours of a product."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from search.errors import IndexMissingError, NotFoundError
from search.index.asking import Asking
from search.index.manifest import DEAD, IndexManifest, read_manifest
from search.index.partition import Partition, Selection, Vectors
from search.index.products import EVERYTHING, Filters, Hit, Product, Rows, to_products
from search.index.segment import Segment, read_segment
from search.index.versions import current_version, segment_folder, version_folder

_REMEMBERED: Final = 64  # filters of which the passing rows are kept at hand
_Choice = dict[str, list[Selection | None]]
"""By category, what each of its parts may return; the parts of `Index._parts`."""


class Index(Asking):
    """One version, read-only: products in memory, vectors and thumbnails mapped from disk. Threads may share it."""

    def __init__(
        self,
        manifest: IndexManifest,
        segments: Sequence[Segment],
        dead: npt.NDArray[np.int64],
    ) -> None:
        self.manifest = manifest
        self.dead = dead  # rows that were replaced or deleted
        self._segments = segments
        self._starts = [0, *accumulate(len(segment.products) for segment in segments)]
        self._products = pa.concat_tables([segment.products for segment in segments]).combine_chunks()
        self._parts: dict[str, list[tuple[int, Partition]]] = {
            name: [
                (start, segment.partitions[name])
                for start, segment in zip(self._starts, segments, strict=False)
                if name in segment.partitions
            ]
            for name in manifest.counts
        }
        self._alive = np.ones(len(self._products), bool)
        self._alive[dead] = False
        self._choices = {EVERYTHING: self._choose(self._alive if len(dead) else None)}

    @classmethod
    def open(cls, root: Path) -> "Index":
        """Open the version in use.

        Raises:
            IndexMissingError: `root` holds no index, or a damaged one.
        """
        while True:
            version = current_version(root)
            if version is None:
                raise IndexMissingError(
                    f"{root} holds no index; run `make demo`, materialize search_index, or give --data"
                )
            try:
                return cls.open_version(root, version)
            except IndexMissingError:
                if current_version(root) == version:  # else it was replaced, and removed, while it was being opened
                    raise

    @classmethod
    def open_version(cls, root: Path, version: str) -> "Index":
        """Open one version, in use or not. Raises `IndexMissingError` as `open` does."""
        folder = version_folder(root, version)
        manifest = read_manifest(folder)
        try:
            dead = np.load(folder / DEAD)
        except (OSError, ValueError) as error:
            raise IndexMissingError(f"index version {version} is damaged: {error}") from error
        segments = [read_segment(segment_folder(root, name), manifest.config) for name in manifest.segments]
        if sum(len(segment.products) for segment in segments) - len(dead) != manifest.rows:
            raise IndexMissingError(f"index version {version} is damaged: its parts differ in length")
        return cls(manifest, segments, dead)

    @property
    def physical(self) -> int:
        """Rows of all segments, dead ones too."""
        return self._starts[-1]

    @property
    def beside(self) -> int:
        """Rows outside the first segment, and dead ones: what slows a search down."""
        return self.physical - self._starts[1] + len(self.dead)

    def __contains__(self, id: str) -> bool:  # noqa: A002
        return id in self._rows

    def search_many(
        self, vectors: Vectors, categories: Sequence[str | None], top: int = 10, filters: Filters = EVERYTHING
    ) -> list[list[Hit]]:
        """`search` for several vectors of shape (n, d), each with its own category."""
        self.check_query(vectors, categories, top)
        return [
            self._hits(*self.nearest(vector, category, top, filters))
            for vector, category in zip(vectors, categories, strict=True)
        ]

    def nearest(
        self, vector: Vectors, category: str | None, top: int, filters: Filters = EVERYTHING
    ) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """Scores and row numbers only, both of shape (k,), best first. The arguments are not checked."""
        choice = self._choices.get(filters) or self._remember(filters)
        return self._nearest(vector, [category] if category else list(self._parts), top, choice)

    def nearest_among(
        self, vector: Vectors, category: str, top: int, mask: npt.NDArray[np.bool_]
    ) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """`nearest` among the rows where a mask over all of them, dead ones too, is true."""
        return self._nearest(vector, [category], top, self._choose(mask & self._alive, [category]))

    def products(self, ids: Sequence[str]) -> list[Product]:
        """Those of the products that are in the index."""
        return self._at(self.rows_of(ids))

    def product(self, id: str) -> Product:  # noqa: A002 - the product's id, as in its URL
        """The product of that id. Raises `NotFoundError`."""
        return self._at(np.array([self._row(id)]))[0]

    def thumbnail(self, id: str) -> bytes:  # noqa: A002
        """JPEG preview of a product, longest side 256 px. Raises `NotFoundError`."""
        row = self._row(id)
        at = bisect_right(self._starts, row) - 1
        data: bytes = self._segments[at].thumbnails["thumbnail"][row - self._starts[at]].as_py()
        return data

    def vector(self, id: str) -> npt.NDArray[np.float32]:  # noqa: A002
        """Unit vector of a product, shape (d,). Raises `NotFoundError`."""
        row = self._row(id)
        for start, partition in self._parts[self._products["category"][row].as_py()]:
            place = np.searchsorted(partition.rows, row - start)  # rows came in this order
            if place < len(partition.rows) and partition.rows[place] == row - start:
                return np.array(partition.vectors[place])
        raise NotFoundError(f"no vector of {id!r} in this index")

    def rank(self, vector: npt.NDArray[np.float32], id: str) -> int:  # noqa: A002
        """Place of a product among all of its category, 1 for the nearest. Raises `NotFoundError`."""
        row, query = self._row(id), np.asarray(vector, np.float32)
        parts = self._parts[self._products["category"][row].as_py()]
        scores = np.concatenate([part.vectors @ query for _, part in parts])  # of all: no vector is copied
        rows = np.concatenate([start + part.rows for start, part in parts])
        own = scores[rows == row][0]
        before = (scores > own) | ((scores == own) & (rows < row))
        return int(np.count_nonzero(before & self._alive[rows])) + 1

    def vectors(self, category: str) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """All vectors of a category, shape (n, d), and their row numbers, shape (n,)."""
        kept = [(start, part, self._alive[start + part.rows]) for start, part in self._parts[category]]
        return (
            np.concatenate([part.vectors[alive] for _, part, alive in kept]),
            np.concatenate([start + part.rows[alive] for start, part, alive in kept]),
        )

    def read(self, without: npt.NDArray[np.int64]) -> Iterator[Rows]:
        """Stream every product that is not dead and not among the row numbers `without`."""
        alive = self._alive.copy()
        alive[without] = False
        for start, segment in zip(self._starts, self._segments, strict=False):
            yield from segment.read(alive[start : start + len(segment.products)])

    def rows_of(self, ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Row numbers of those of the products that are in the index."""
        return np.array([self._rows[id] for id in ids if id in self._rows], np.int64)  # noqa: A001

    def _nearest(
        self, vector: Vectors, names: Sequence[str], top: int, choice: _Choice
    ) -> tuple[Vectors, npt.NDArray[np.int64]]:
        query = np.ascontiguousarray(vector, dtype=np.float32)
        found = [
            (start, partition.search(query, top, selection))
            for name in names
            for (start, partition), selection in zip(self._parts[name], choice[name], strict=True)
        ]
        if len(found) == 1:  # nearly always
            start, (scores, rows) = found[0]
            return scores, rows + start if start else rows
        scores = np.concatenate([scores for _, (scores, _) in found])
        rows = np.concatenate([start + rows for start, (_, rows) in found])
        order = np.lexsort((rows, -scores))[:top]
        return scores[order], rows[order]

    def _choose(self, mask: npt.NDArray[np.bool_] | None, names: Iterable[str] | None = None) -> _Choice:
        return {
            name: [part.select(None if mask is None else mask[start:]) for start, part in self._parts[name]]
            for name in names or self._parts
        }

    def _remember(self, filters: Filters) -> _Choice:
        if len(self._choices) > _REMEMBERED:
            self._choices = {EVERYTHING: self._choices[EVERYTHING]}
        choice = self._choose(filters.mask(self._products) & self._alive)
        self._choices[filters] = choice
        return choice

    def _hits(self, scores: Vectors, rows: npt.NDArray[np.int64]) -> list[Hit]:
        return [Hit(product, score) for product, score in zip(self._at(rows), scores.tolist(), strict=True)]

    def _at(self, rows: npt.NDArray[np.int64]) -> list[Product]:
        return to_products(self._products.take(rows).to_pylist())

    def _row(self, id: str) -> int:  # noqa: A002
        try:
            return self._rows[id]
        except KeyError:
            raise NotFoundError(f"no product {id!r} in this index") from None

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self._products["id"].to_pylist()) if self._alive[row]}  # noqa: A001
