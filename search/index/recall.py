"""How much of the exact nearest ten a search finds: measured with products of its own category, and of others."""

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


def recall(index: Searchable, queries: Vectors, vectors: Vectors) -> float:
    """Share of the exact top ten that a search returns, 0-1.

    A returned position counts when its true score reaches the tenth-best true score, so ties cannot be lost.

    Args:
        index: answers with positions in `vectors`.
        queries: shape (m, d).
        vectors: all that may be found, shape (n, d), unit length.
    """
    top = min(_TOP, len(vectors))
    if not top or not len(queries):
        return 1.0
    right = 0
    for start in range(0, len(queries), _CHUNK):
        part = queries[start : start + _CHUNK]
        exact = part @ vectors.T
        bars = np.partition(exact, -top, axis=1)[:, -top] - _TIE
        for query, scores, bar in zip(part, exact, bars, strict=True):
            found = {int(place) for place in index.search(query, top)[1] if 0 <= place < len(vectors)}
            right += int((scores[list(found)] >= bar).sum())
    return right / (top * len(queries))
