"""Bending flat pieces onto a body: bones (curved, for limbs and trunk) and frames (rigid, for shoes, hats, bags).

A piece has coordinates (d, s): s runs along the bone from its start, d to the right of it, both in head heights of
the flat garment. Every pixel near a bone looks up the nearest point of the bone, which gives it its s and d; PIL's mesh
transform does this for a coarse grid and interpolates inside the cells.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from sandbox.drawing.pieces import Part

Array = npt.NDArray[np.float64]

CELL: Final = 32
"""Size of a mesh cell, px, on a nearly straight bone."""
BENT_CELL: Final = 13
"""Size of a mesh cell, px, small enough that a bent elbow looks round."""
_BENT: Final = 0.9  # cosine of the angle between the ends of a bone, below which it counts as bent
_REACH: Final = 6.0  # head heights by which a bone goes on straight beyond both ends


@dataclass(frozen=True)
class Bone:
    """A posed bone: (k, 2) pixel points, their (k,) flat lengths in head heights, and pixels per head height across."""

    points: Array
    lengths: Array
    across: float

    def cell(self) -> int:
        """Return how fine a mesh must be to follow this bone, px."""
        first, last = self.points[1] - self.points[0], self.points[-1] - self.points[-2]
        bent = first @ last < _BENT * np.linalg.norm(first) * np.linalg.norm(last)
        return BENT_CELL if bent else CELL

    def extended(self) -> tuple[Array, Array]:
        """Return the points and lengths with a straight piece added at both ends."""
        p, s = self.points, self.lengths
        head = p[0] + (p[0] - p[1]) / (s[1] - s[0]) * _REACH
        tail = p[-1] + (p[-1] - p[-2]) / (s[-1] - s[-2]) * _REACH
        return np.vstack([head, p, tail]), np.concatenate([[s[0] - _REACH], s, [s[-1] + _REACH]])

    def place(self, d: Array, s: Array) -> Array:
        """Map flat (n,) coordinates to (n, 2) pixels."""
        points, lengths = self.extended()
        i = np.clip(np.searchsorted(lengths, s) - 1, 0, len(lengths) - 2)
        t = (s - lengths[i]) / (lengths[i + 1] - lengths[i])
        along = points[i + 1] - points[i]
        unit = along / np.linalg.norm(along, axis=1, keepdims=True)
        normal = np.stack([unit[:, 1], -unit[:, 0]], axis=1)
        return points[i] + along * t[:, None] + normal * (d * self.across)[:, None]

    def locate(self, xy: Array) -> tuple[Array, Array]:
        """Map (n, 2) pixels to flat (d, s): the nearest point of the bone."""
        points, lengths = self.extended()
        along = np.diff(points, axis=0)
        size = np.sum(along**2, axis=1)
        offset = xy[:, None, :] - points[None, :-1, :]
        t = np.clip(np.sum(offset * along, axis=2) / size, 0.0, 1.0)
        gap = offset - t[:, :, None] * along
        i = np.argmin(np.sum(gap**2, axis=2), axis=1)
        rows = np.arange(len(xy))
        unit = along[i] / np.sqrt(size[i])[:, None]
        normal = np.stack([unit[:, 1], -unit[:, 0]], axis=1)
        d = np.sum(offset[rows, i] * normal, axis=1) / self.across
        return d, lengths[i] + t[rows, i] * (lengths[i + 1] - lengths[i])


@dataclass(frozen=True)
class Frame:
    """A rigid place: pixels of the flat origin, and the pixel vectors of one head height right and down."""

    origin: tuple[float, float]
    right: tuple[float, float]
    down: tuple[float, float]

    def place(self, d: Array, s: Array) -> Array:
        """Map flat (n,) coordinates to (n, 2) pixels."""
        offset = d[:, None] * np.asarray(self.right) + s[:, None] * np.asarray(self.down)
        return np.asarray(offset + np.asarray(self.origin))

    def locate(self, xy: Array) -> tuple[Array, Array]:
        """Map (n, 2) pixels to flat (d, s)."""
        inverse = np.linalg.inv(np.array([self.right, self.down]).T)
        d, s = inverse @ (xy - np.asarray(self.origin)).T
        return d, s


Skeleton = dict[str, Bone | Frame]
_STEPS: Final = np.linspace(0.0, 1.0, 9)
_AROUND: Final = np.concatenate(
    [[_STEPS, np.full(9, v)] for v in (0.0, 1.0)] + [[np.full(9, v), _STEPS] for v in (0.0, 1.0)], axis=1
)
"""(2, n) points around the border of the unit square."""


def _outline(part: Part) -> tuple[Array, Array]:
    x0, y0, x1, y1 = part.bounds
    return x0 + _AROUND[0] * (x1 - x0), y0 + _AROUND[1] * (y1 - y0)


def bend(part: Part, skeleton: Skeleton, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]] | None:
    """Draw a part on its bone. Returns an RGBA picture and its corner on a canvas of `size`, or None when off it."""
    bone = skeleton[part.bone]
    border = bone.place(*_outline(part))
    low = np.maximum(np.floor(border.min(axis=0)) - 1, 0).astype(int)
    high = np.minimum(np.ceil(border.max(axis=0)) + 1, size).astype(int)
    if (high - low < 2).any():
        return None
    width, height = (high - low).tolist()
    cell = bone.cell() if isinstance(bone, Bone) else max(width, height)
    xs = np.append(np.arange(0, width, cell), width)
    ys = np.append(np.arange(0, height, cell), height)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    d, s = bone.locate(grid + low)
    flat = np.stack([(d - part.x0) * part.unit, (s - part.y0) * part.unit], axis=-1).reshape(len(ys), len(xs), 2)
    picture = part.image.transform(
        (width, height), Image.Transform.MESH, _mesh(xs, ys, flat, part), Image.Resampling.BILINEAR
    )
    return picture.convert("RGBA"), (int(low[0]), int(low[1]))


def _mesh(xs: Array, ys: Array, flat: Array, part: Part) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Return PIL's (target box, source corners NW SW SE NE) list, without the cells that miss the piece."""
    quads = np.concatenate([flat[:-1, :-1], flat[1:, :-1], flat[1:, 1:], flat[:-1, 1:]], axis=-1)
    px, py = quads[..., 0::2], quads[..., 1::2]
    width, height = part.image.size
    hit = (px.max(-1) > 0) & (px.min(-1) < width) & (py.max(-1) > 0) & (py.min(-1) < height)
    columns, rows = xs.astype(int).tolist(), ys.astype(int).tolist()
    return [
        ((columns[j], rows[i], columns[j + 1], rows[i + 1]), tuple(quads[i, j].tolist()))
        for i, j in np.argwhere(hit).tolist()
    ]
