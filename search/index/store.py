"""An opened index: nearest products of a vector, products by id, neighbours of a product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from search.errors import BadRequestError, IndexMissingError, NotFoundError
from search.index.manifest import PARTITIONS, PRODUCTS, THUMBNAILS, IndexManifest, read_manifest
from search.index.versions import current_version, version_folder


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the catalog, as the shop shows it."""

    id: str  # <site>-<the site's own id>
    site: str
    product_id: str
    name: str | None
    brand: str | None
    price: int | None  # KRW
    url: str | None
    category: str
    image_url: str
    sha256: str  # of the original thumbnail


@dataclass(frozen=True, slots=True)
class Hit:
    """A product and how alike it is."""

    product: Product
    score: float  # cosine, -1 to 1


class Index:
    """A read-only index: vectors and products in memory, thumbnails mapped from disk. Threads may share it."""

    def __init__(
        self, manifest: IndexManifest, partitions: Mapping[str, Any], products: pa.Table, thumbnails: pa.Table
    ) -> None:
        self.manifest = manifest
        self._partitions = dict(partitions)
        self._products = products
        self._thumbnails = thumbnails

    @classmethod
    def open(cls, root: Path) -> "Index":
        """Open the version in use.

        Raises:
            IndexMissingError: `root` holds no index, or a damaged one.
        """
        version = current_version(root)
        if version is None:
            raise IndexMissingError(f"{root} holds no index; build one first")
        return cls.open_version(version_folder(root, version))

    @classmethod
    def open_version(cls, folder: Path) -> "Index":
        """Open one version's folder, in use or not. Raises `IndexMissingError` as `open` does."""
        manifest = read_manifest(folder)
        try:
            partitions = {
                category: faiss.read_index(str(folder / PARTITIONS / f"{category}.faiss"))
                for category in manifest.counts
            }
            products = pq.read_table(folder / PRODUCTS)
            thumbnails = pa.ipc.open_file(pa.memory_map(str(folder / THUMBNAILS))).read_all()
        except (OSError, RuntimeError, pa.ArrowInvalid) as error:  # faiss raises RuntimeError on a damaged file
            raise IndexMissingError(f"index version {folder.name} is damaged: {error}") from error
        if not len(products) == len(thumbnails) == manifest.rows == sum(part.ntotal for part in partitions.values()):
            raise IndexMissingError(f"index version {folder.name} is damaged: its parts differ in length")
        return cls(manifest, partitions, products, thumbnails)

    @property
    def version(self) -> str:
        """Name of the built version."""
        return self.manifest.version

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories that hold products."""
        return tuple(self._partitions)

    def __contains__(self, id: str) -> bool:  # noqa: A002
        return id in self._rows

    def search(self, vector: npt.NDArray[np.float32], category: str | None = None, top: int = 10) -> list[Hit]:
        """Nearest products of one vector.

        Args:
            vector: shape (d,), unit length.
            category: only products of this category; None searches all.
            top: at most so many hits, best first; fewer when the partition is smaller.

        Raises:
            BadRequestError: the vector has another length, `top` is below 1, or the category is not in the index.
        """
        return self.search_many(np.asarray(vector)[None], [category], top)[0]

    def search_many(
        self, vectors: npt.NDArray[np.float32], categories: Sequence[str | None], top: int = 10
    ) -> list[list[Hit]]:
        """`search` for several vectors of shape (n, d), each with its own category."""
        if vectors.ndim != 2 or vectors.shape[1] != self.manifest.dim:
            raise BadRequestError(f"vectors: shape must be (n, {self.manifest.dim}), got {vectors.shape}")
        if top < 1:
            raise BadRequestError(f"top: must be at least 1, got {top}")
        return [self._nearest(vector, category, top) for vector, category in zip(vectors, categories, strict=True)]

    def product(self, id: str) -> Product:  # noqa: A002 - the product's id, as in its URL
        """The product of that id. Raises `NotFoundError`."""
        return self._product(self._row(id))

    def thumbnail(self, id: str) -> bytes:  # noqa: A002
        """JPEG preview of a product, longest side 256 px. Raises `NotFoundError`."""
        data: bytes = self._thumbnails["thumbnail"][self._row(id)].as_py()
        return data

    def vector(self, id: str) -> npt.NDArray[np.float32]:  # noqa: A002
        """Unit vector of a product, shape (d,). Raises `NotFoundError`."""
        row = self._row(id)
        found: npt.NDArray[np.float32] = self._partitions[self._product(row).category].reconstruct(row)
        return found

    def neighbours(self, id: str, top: int = 10) -> list[Hit]:  # noqa: A002
        """Products of the same category most like the given one, itself left out. Raises `NotFoundError`."""
        hits = self.search(self.vector(id), self.product(id).category, top + 1)
        return [hit for hit in hits if hit.product.id != id][:top]

    def rank(self, vector: npt.NDArray[np.float32], id: str) -> int:  # noqa: A002
        """Place of a product among all of its category, 1 for the nearest. Raises `NotFoundError`."""
        row = self._row(id)
        partition = self._partitions[self._product(row).category]
        query = np.ascontiguousarray(vector[None], dtype=np.float32)
        _, rows = partition.search(query, partition.ntotal)
        return int(np.flatnonzero(rows[0] == row)[0]) + 1

    def _nearest(self, vector: npt.NDArray[np.float32], category: str | None, top: int) -> list[Hit]:
        if category is not None and category not in self._partitions:
            raise BadRequestError(f"category: must be one of {', '.join(self._partitions)}, got {category!r}")
        query = np.ascontiguousarray(vector[None], dtype=np.float32)
        found: list[tuple[float, int]] = []
        for name in self._partitions if category is None else (category,):
            partition = self._partitions[name]
            scores, rows = partition.search(query, min(top, partition.ntotal))
            found.extend(zip(scores[0].tolist(), rows[0].tolist(), strict=True))
        found.sort(key=lambda pair: (-pair[0], pair[1]))
        return [Hit(self._product(row), score) for score, row in found[:top]]

    def _product(self, row: int) -> Product:
        return Product(**{name: self._products[name][row].as_py() for name in Product.__dataclass_fields__})

    def _row(self, id: str) -> int:  # noqa: A002
        try:
            return self._rows[id]
        except KeyError:
            raise NotFoundError(f"no product {id!r} in this index") from None

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self._products["id"].to_pylist())}  # noqa: A001
