"""Independent random streams: the same seed, stream and ids give the same draws in any process and any order."""

from typing import Final

import numpy as np

STREAMS: Final[tuple[str, ...]] = (
    "catalogue",
    "people",
    "flaws",
    "photo",
    "thumbnail",
    "copy",
    "annotation",
    "garment",
    "bystander",
)
"""Names of the streams. Order is part of every drawn world: append, never reorder."""


def stream(seed: int, name: str, *ids: int) -> np.random.Generator:
    """Return the generator of one named stream, e.g. `stream(1, "photo", 7, 0)`.

    Raises ValueError when the stream has no such name or a number is negative (numpy refuses it).
    """
    return np.random.default_rng([seed, STREAMS.index(name), *ids])
