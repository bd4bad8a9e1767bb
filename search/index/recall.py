"""How much of the exact nearest ten a partition finds, measured with queries that are its own vectors."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_QUERIES: Final = 256  # enough for two digits; a sample keeps the exact side cheap on a large partition
_TOP: Final = 10
_TIE: Final = 1e-5  # float32 sums in another order differ by less; equally near products are interchangeable


def recall_at_10(partition: Any, vectors: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> float:
    """Share of the exact top ten that a faiss partition returns, 0-1.

    A returned row counts when its true score reaches the tenth-best true score, so ties cannot be lost.

    Args:
        partition: faiss index whose ids are `rows`.
        vectors: what it holds, shape (n, d), unit length.
        rows: ids, shape (n,).
    """
    top = min(_TOP, len(vectors))
    sample = np.random.default_rng(0).permutation(len(vectors))[:_QUERIES]
    exact = vectors[sample] @ vectors.T
    bar = np.sort(exact, axis=1)[:, -top]
    place = {int(row): at for at, row in enumerate(rows)}
    _, found = partition.search(vectors[sample], top)
    right = 0
    for query, ids in enumerate(found.tolist()):
        places = [place[row] for row in set(ids) if row in place]
        right += int((exact[query, places] >= bar[query] - _TIE).sum())
    return right / (top * len(sample))
