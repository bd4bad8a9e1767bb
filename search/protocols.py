"""What the service asks of a detector, an encoder and an index.

`models.*.infer` and `search.index` fulfil it; tests bring small stand-ins for the models.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from curation.tables import ShardedTable
from models.boxes import Detection
from search.index.manifest import IndexManifest
from search.index.products import EVERYTHING, Filters, Hit, Product


class Detector(Protocol):
    """Finds garments in photos."""

    def detect(self, images: Sequence[Image.Image], threshold: float) -> Sequence[Sequence[Detection]]:
        """Give the detections that score at least `threshold`, per image, not yet suppressed."""


class Encoder(Protocol):
    """Turns pictures into vectors."""

    @property
    def version(self) -> str:
        """Names weights and preprocessing; an index made with others is refused."""

    def embed(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Give one unit vector per image, shape (n, d)."""


class ProductIndex(Protocol):
    """One version of an index, opened: whatever it is asked, it answers from that version alone. Threads may share it.

    Every method raises `IndexMissingError` where the version is kept elsewhere and cannot be reached.
    """

    @property
    def manifest(self) -> IndexManifest:
        """What the version says about itself."""

    @property
    def version(self) -> str:
        """Name of the version."""

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories that hold products."""

    def __contains__(self, id: str) -> bool:  # noqa: A002
        """Whether it holds that product."""

    def search(
        self,
        vector: npt.NDArray[np.float32],
        category: str | None = None,
        top: int = 10,
        filters: Filters = EVERYTHING,
    ) -> list[Hit]:
        """Nearest products of one vector, best first. Raises `BadRequestError`."""

    def search_many(
        self,
        vectors: npt.NDArray[np.float32],
        categories: Sequence[str | None],
        top: int = 10,
        filters: Filters = EVERYTHING,
    ) -> list[list[Hit]]:
        """`search` for several vectors of shape (n, d), each with its own category."""

    def product(self, id: str) -> Product:  # noqa: A002
        """The product of that id. Raises `NotFoundError`, as all that follow."""

    def thumbnail(self, id: str) -> bytes:  # noqa: A002
        """JPEG preview of a product, longest side 256 px."""

    def vector(self, id: str) -> npt.NDArray[np.float32]:  # noqa: A002
        """Unit vector of a product, shape (d,)."""

    def vectors_of(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors of several products, shape (n, d), in one go where the index is kept elsewhere."""

    def neighbours(self, id: str, top: int = 10, filters: Filters = EVERYTHING) -> list[Hit]:  # noqa: A002
        """Products of the same category most like the given one, itself left out."""

    def rank(self, vector: npt.NDArray[np.float32], id: str) -> int:  # noqa: A002
        """Place of a product among all of its category, 1 for the nearest."""


class IndexStore(Protocol):
    """Where the versions of an index are kept. One writer at a time; readers need not know of it.

    Every change makes a new version, which is in use from one moment to the next once it is whole and checked; the one
    before it stays for `rollback`. Killed at any moment, a change leaves the old version in use, and can be repeated.
    """

    def current(self) -> str | None:
        """Name of the version in use, or None when nothing was ever built."""

    def open(self) -> ProductIndex:
        """Open the version in use. Raises `IndexMissingError`."""

    def versions(self) -> list[IndexManifest]:
        """Every version that can be returned to, oldest first."""

    def rollback(self) -> str:
        """Return to the version before the current one; again, and it is the newer. Raises `IndexMissingError`."""

    def build(
        self, embeddings: ShardedTable, encoder_version: str, preprocessing: Mapping[str, Any] | None = None
    ) -> IndexManifest:
        """Make a version of a whole catalog. Raises `IndexBuildError`."""

    def upsert(self, embeddings: ShardedTable) -> IndexManifest:
        """Add products, or replace those of the same ids. Raises `IndexBuildError`, `IndexMissingError`."""

    def delete(self, ids: Sequence[str]) -> IndexManifest:
        """Leave products out; unknown ids are passed over. Raises `IndexBuildError`, `IndexMissingError`."""

    def remove(self, products: Collection[str], pictures: Collection[str]) -> dict[str, int]:
        """Take products out for good, of every version; says which versions held how many.

        Raises `IndexBuildError`, `IndexMissingError`.
        """
