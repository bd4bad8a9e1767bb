"""How far apart two colour layouts are: cell by cell, or after one was laid over the other.

A repost loses a little at its edges, so its cells show other parts of the photo than the original's do. Laid over each
other, the two agree again; somebody else in the same clothes and pose never does.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from curation.schemas import COLOUR_GRID

Layouts = npt.NDArray[np.uint8]
"""(n, cells · 3): Y, Cb and Cr of each cell, row by row."""
Levels = npt.NDArray[np.float32]
"""(n,): difference of luma, or distance in the CbCr plane, 0-255."""
_Planes = npt.NDArray[np.float64]
"""(n, rows, columns): one channel."""

_ODD_CELLS: Final = 13  # a twentieth
"""Cells that may differ as they like once layouts are laid over each other: under a watermark, past a cut edge."""
_REACH: Final = (16.0, 30.0)
"""Root mean square of chroma and of luma that laying over can mend; further apart it is not tried, which saves much."""
_ROUNDS: Final = 2  # the second halves what the first left of cuts; a third adds little
_STIFFNESS: Final = float(COLOUR_GRID**2)
"""Keeps plain pictures from being moved by noise: as much as one squared level in every cell."""
_PAIRS: Final = 1024  # at once: 1024 × 256 cells × 6 numbers × 8 B = 12 MiB
_RISE: Final = np.linspace(-1.0, 1.0, COLOUR_GRID)[:, None]  # from the first row to the last
_RUN: Final = _RISE.T


def worst_cell(a: Layouts, b: Layouts) -> tuple[Levels, Levels]:
    """Chroma and luma levels between layouts in their worst cell. `b` may have one row for all of `a`."""
    difference = (a.astype(np.int16) - b).reshape(-1, COLOUR_GRID**2, 3)
    luma, cb, cr = (difference[..., channel].astype(np.int32) for channel in range(3))
    return np.sqrt((cb * cb + cr * cr).max(1)).astype(np.float32), np.abs(luma).max(1).astype(np.float32)


def laid_over(a: Layouts, b: Layouts) -> tuple[Levels, Levels]:
    """Chroma and luma levels that are left in the worst cell that counts, when both are moved towards each other.

    What moves them is a shift and a stretch along each axis; what may change besides is the brightness and the contrast
    of luma. All six are fitted by least squares to the gradients (Lucas and Kanade 1981). Layouts that are out of
    reach are compared as they are. The order of the two does not matter. `b` may have one row for all of `a`.
    """
    a, b = np.broadcast_arrays(a, b)
    parts = [_laid_over(a[at : at + _PAIRS], b[at : at + _PAIRS]) for at in range(0, len(a), _PAIRS)]
    chroma, luma = (np.concatenate([np.empty(0, np.float32), *(part[side] for part in parts)]) for side in (0, 1))
    return chroma, luma


def _laid_over(a: Layouts, b: Layouts) -> tuple[Levels, Levels]:
    squares = _squares((b.astype(np.float32) - a).reshape(-1, COLOUR_GRID**2, 3))
    chroma, luma = (np.sqrt(kept.max(1)) for kept in squares)
    near = np.all([np.sqrt(kept.mean(1)) <= most for kept, most in zip(squares, _REACH, strict=True)], axis=0)
    if near.any():
        left = _squares(_registered(_planes(a[near]), _planes(b[near])))
        chroma[near], luma[near] = (np.sqrt(kept.max(1)) for kept in left)
    return chroma, luma


def _planes(layouts: Layouts) -> list[_Planes]:
    """Y, Cb and Cr."""
    grid = layouts.reshape(-1, COLOUR_GRID, COLOUR_GRID, 3).astype(np.float64)
    return [grid[..., channel] for channel in range(3)]


def _squares(difference: npt.NDArray[Any]) -> list[Levels]:
    """Squared levels of chroma and of luma in all but the oddest cells: (n, cells, 3) → (n, cells that count) each."""
    luma, cb, cr = (difference[..., channel] for channel in range(3))
    count = COLOUR_GRID**2 - _ODD_CELLS
    both = (cb * cb + cr * cr, luma * luma)
    return [np.partition(squares, count, axis=1)[:, :count].astype(np.float32) for squares in both]


def _registered(one: list[_Planes], other: list[_Planes]) -> npt.NDArray[np.float64]:
    """Differences of Y, Cb and Cr when both sides are moved half way towards each other, (n, cells, 3)."""
    moves = np.zeros((len(one[0]), 4, 1, 1))
    for _ in range(_ROUNDS):
        pairs = [(_moved(a, moves / 2), _moved(b, -moves / 2)) for a, b in zip(one, other, strict=True)]
        slopes = [_slopes((a + b) / 2) for a, b in pairs]
        light = (pairs[0][0] + pairs[0][1]) / 2
        terms = [*slopes[0], np.ones_like(light), light - light.mean((1, 2), keepdims=True)]
        fitted = _least_squares(terms, pairs[0][1] - pairs[0][0])
        moves = moves + fitted[:, :4]
    explained = [terms, *slopes[1:]]  # the last step is not taken but subtracted: to first order it is the same
    rest = [b - a - _combined(fitted, parts) for (a, b), parts in zip(pairs, explained, strict=True)]
    return np.stack(rest, 3).reshape(len(light), -1, 3)


def _moved(plane: _Planes, moves: npt.NDArray[np.float64]) -> _Planes:
    """Planes seen through a shift and a stretch along a row, and along a column: (n, 4, 1, 1), in cells."""
    last = COLOUR_GRID - 1
    cells = np.arange(COLOUR_GRID)
    x = np.clip(cells + moves[:, 0] + moves[:, 1] * _RUN, 0, last)
    y = np.clip(cells[:, None] + moves[:, 2] + moves[:, 3] * _RISE, 0, last)
    return _between(_between(plane, x, 2), y, 1)


def _between(plane: _Planes, at: npt.NDArray[np.float64], axis: int) -> _Planes:
    """Linear interpolation along one axis at the places `at`, one for each cell of that axis."""
    low = np.minimum(at.astype(np.int64), COLOUR_GRID - 2)
    shape = np.broadcast_shapes(low.shape, plane.shape)
    first, second = (np.take_along_axis(plane, np.broadcast_to(index, shape), axis) for index in (low, low + 1))
    return first + (at - low) * (second - first)


def _slopes(plane: _Planes) -> list[_Planes]:
    """What a shift and a stretch along a row, and along a column, of one cell would change."""
    down, along = (np.asarray(np.gradient(plane, axis=axis)) for axis in (1, 2))
    return [along, along * _RUN, down, down * _RISE]


def _least_squares(terms: list[_Planes], difference: _Planes) -> npt.NDArray[np.float64]:
    """By how much each term is to be taken so that their sum comes nearest to the difference: (n, terms, 1, 1)."""
    rows = np.stack([term.reshape(len(term), -1) for term in terms], 1)
    normal = rows @ rows.transpose(0, 2, 1) + _STIFFNESS * np.eye(len(terms))
    right = rows @ difference.reshape(len(rows), -1, 1)
    return np.asarray(np.linalg.solve(normal, right)[..., None])


def _combined(shares: npt.NDArray[np.float64], terms: list[_Planes]) -> _Planes:
    return np.asarray(sum(shares[:, number] * term for number, term in enumerate(terms)), np.float64)
