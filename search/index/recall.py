"""How much of the exact nearest ten a search finds."""

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

_TOP: Final = 10
_TIE: Final = 1e-5  # float32 sums in another order differ by less; equally near products are interchangeable
_CHUNK: Final = 32  # queries scored at once: a large category times many queries would not fit

Vectors = npt.NDArray[np.float32]


class Searchable(Protocol):
    """What answers one query with positions among the vectors that it was made from."""

    def search(self, query: Vectors, top: int, /) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """Scores and positions, best first."""


class Truth:
    """Queries and the score that their exact tenth-best hit has, found in numpy."""

    def __init__(self, queries: Vectors, vectors: Vectors) -> None:
        """Search exactly.

        Args:
            queries: shape (m, d).
            vectors: all that may be found, shape (n, d), unit length.
        """
        self._queries = queries
        self._vectors = vectors
        self._top = min(_TOP, len(vectors))
        parts = (queries[start : start + _CHUNK] @ vectors.T for start in range(0, len(queries), _CHUNK))
        self._bars = [float(bar) - _TIE for part in parts if self._top for bar in self._tenth(part)]

    def recall(self, index: Searchable) -> float:
        """Share of the exact top ten that a search returns, 0-1; 1 where there is nothing to ask or to find.

        A returned position counts when its true score reaches the tenth-best, so ties cannot be lost.
        """
        right = 0
        for query, bar in zip(self._queries, self._bars, strict=False):
            found = {int(place) for place in index.search(query, self._top)[1] if 0 <= place < len(self._vectors)}
            right += int((self._vectors[list(found)] @ query >= bar).sum())
        return right / (self._top * len(self._bars)) if self._bars else 1.0

    def _tenth(self, scores: Vectors) -> Vectors:
        tenth: Vectors = np.partition(scores, -self._top, axis=1)[:, -self._top]
        return tenth
