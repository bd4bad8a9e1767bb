"""What every index can do once it can search for several vectors at once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search.errors import BadRequestError
from search.index.manifest import IndexManifest
from search.index.products import EVERYTHING, Filters, Hit, Product

Vectors = npt.NDArray[np.float32]


class Asking(ABC):
    """One opened version; its parts answer in their own ways."""

    manifest: IndexManifest

    @property
    def version(self) -> str:
        """Name of the version."""
        return self.manifest.version

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories that hold products."""
        return tuple(self.manifest.counts)

    def search(
        self, vector: Vectors, category: str | None = None, top: int = 10, filters: Filters = EVERYTHING
    ) -> list[Hit]:
        """Nearest products of one vector.

        Args:
            vector: shape (d,), unit length.
            category: only products of this category; None searches all.
            top: at most so many hits, best first; fewer when there are fewer.
            filters: brands, sites and prices that every hit must keep to.

        Raises:
            BadRequestError: the vector has another length, `top` is below 1, or the category is not in the index.
        """
        return self.search_many(np.asarray(vector)[None], [category], top, filters)[0]

    def neighbours(self, id: str, top: int = 10, filters: Filters = EVERYTHING) -> list[Hit]:  # noqa: A002
        """Products of the same category most like the given one, itself left out. Raises `NotFoundError`."""
        hits = self.search(self.vector(id), self.product(id).category, top + 1, filters)
        return [hit for hit in hits if hit.product.id != id][:top]

    def vectors_of(self, ids: Sequence[str]) -> Vectors:
        """Unit vectors of several products, shape (n, d). Raises `NotFoundError`."""
        return np.array([self.vector(id) for id in ids], np.float32).reshape(len(ids), self.manifest.dim)  # noqa: A001

    @abstractmethod
    def search_many(
        self, vectors: Vectors, categories: Sequence[str | None], top: int = 10, filters: Filters = EVERYTHING
    ) -> list[list[Hit]]:
        """`search` for several vectors of shape (n, d), each with its own category."""

    @abstractmethod
    def product(self, id: str) -> Product:  # noqa: A002 - the product's id, as in its URL
        """The product of that id. Raises `NotFoundError`."""

    @abstractmethod
    def vector(self, id: str) -> Vectors:  # noqa: A002
        """Unit vector of a product, shape (d,). Raises `NotFoundError`."""

    def check_query(self, vectors: Vectors, categories: Sequence[str | None], top: int) -> None:
        """Raise `BadRequestError` unless it can be asked so."""
        if vectors.ndim != 2 or vectors.shape[1] != self.manifest.dim:
            raise BadRequestError(f"vectors: shape must be (n, {self.manifest.dim}), got {vectors.shape}")
        if top < 1:
            raise BadRequestError(f"top: must be at least 1, got {top}")
        for category in categories:
            if category is not None and category not in self.manifest.counts:
                raise BadRequestError(f"category: must be one of {', '.join(self.manifest.counts)}, got {category!r}")
