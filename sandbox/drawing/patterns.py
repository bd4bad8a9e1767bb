"""Fabric patterns: a (h, w) map that says how much of the second colour each point of the cloth has."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.floating[Any]]

PATTERNS: Final = (
    "plain",
    "h_stripes",
    "v_stripes",
    "check",
    "dots",
    "block",
    "diagonal",
    "camo",
    "argyle",
    "zigzag",
    "flowers",
    "bands",
    "fade",
)
"""Names of all patterns, plain first."""

_EDGE: Final = 40.0  # steepness of the edges of a pattern, per period: sharp at 64 px, smooth at 500 px


def _step(field: Field) -> Field:
    """Turn a signed field (in periods; positive inside) into shares with soft edges."""
    return np.asarray(np.clip(field * _EDGE + 0.5, 0.0, 1.0), dtype=np.float32)


def _wave(x: Field) -> Field:
    """Triangle wave of period 1: 0 at whole numbers, 0.5 half-way."""
    return np.asarray(np.abs(x - np.round(x)))


def _cells(x: Field, y: Field) -> tuple[Field, Field]:
    """Offsets from the centres of a staggered grid of unit cells."""
    row = np.round(y)
    shifted = x + 0.5 * (row % 2)
    return shifted - np.round(shifted), y - row


def _dots(x: Field, y: Field) -> Field:
    dx, dy = _cells(x, y)
    return _step(0.3 - np.hypot(dx, dy))


def _flowers(x: Field, y: Field) -> Field:
    dx, dy = _cells(x * 0.75, y * 0.75)
    petals = 0.26 + 0.14 * np.cos(5 * np.arctan2(dy, dx))
    radius = np.hypot(dx, dy)
    return _step(petals - radius) * (1 - _step(0.09 - radius))


def _camo(x: Field, y: Field) -> Field:
    blobs = np.sin(2.3 * x + 1.3 * np.sin(1.9 * y)) + np.sin(2.1 * y + 1.7 * np.sin(1.4 * x + 1.0))
    return _step(0.2 * blobs - 0.05)


def _check(x: Field, y: Field) -> Field:
    return np.float32(0.5) * (_step(_wave(x) - 0.25) + _step(_wave(y) - 0.25))


_MAPS: Final[Mapping[str, Callable[[Field, Field], Field]]] = {
    "h_stripes": lambda x, y: _step(_wave(y) - 0.25 + 0 * x),
    "v_stripes": lambda x, y: _step(_wave(x) - 0.25 + 0 * y),
    "check": _check,
    "dots": _dots,
    "block": lambda x, y: _step(x + 0 * y),
    "diagonal": lambda x, y: _step(_wave(0.7 * (x + y)) - 0.25),
    "camo": _camo,
    "argyle": lambda x, y: _step(_wave(x * 0.6) + _wave(y * 0.45) - 0.5),
    "zigzag": lambda x, y: _step(_wave(y + 1.2 * _wave(x * 0.6)) - 0.25),
    "flowers": _flowers,
    "bands": lambda x, y: _step(_wave(y * 0.3 + 0.15) - 0.38 + 0 * x),
    "fade": lambda x, y: np.clip(_wave(y * 0.16) * 2.6 - 0.15 + 0 * x, 0.0, 1.0, dtype=np.float32),
}


def pattern_map(name: str, x: Field, y: Field, period: float) -> Field | None:
    """Return the (h, w) share of the second colour, 0 to 1, or None for plain cloth.

    `x` (1, w) and `y` (h, 1) are places on the cloth in head heights. Raises KeyError for an unknown pattern.
    """
    if name == "plain":
        return None
    inverse = np.float32(1.0 / period)
    return np.asarray(_MAPS[name](x * inverse, y * inverse), dtype=np.float32)
