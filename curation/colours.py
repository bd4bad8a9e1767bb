"""Whether a crop and a thumbnail have the same colours: a second opinion on a pair that needs no model."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curation.images import foreground

Colours = NDArray[np.float64]
"""Root of a colour histogram, unit length, (320,): `colour_agreement` of two of them is their inner product."""

_SIDE: Final = 32  # px: colours do not need more
_BINS: Final = (3, 6, 6)  # of luma and of the two chroma channels; coarse, since light and lens move colours
_LOW: Final = (0.0, 64.0, 64.0)  # colours of cloth lie within, of YCbCr (BT.601), 0-255
_HIGH: Final = (256.0, 192.0, 192.0)
_MARGIN: Final = 0.2  # share of a crop left out on each side: there, other things show
_PLAIN_SHARE: Final = 0.6  # of the border: a product may fill much of it
_LEAST_PIXELS: Final = 30  # of cloth; with fewer the ground was misjudged


def crop_colours(crop: Image.Image) -> Colours:
    """Colours of the middle of a crop, where the garment is."""
    width, height = crop.size
    x, y = int(width * _MARGIN), int(height * _MARGIN)
    return _histogram(_pixels(crop.crop((x, y, width - x, height - y))).reshape(-1, 3))


def thumbnail_colours(thumbnail: Image.Image) -> Colours:
    """Colours of a product without the plain ground that shops put behind it."""
    pixels = _pixels(thumbnail)
    cloth = foreground(pixels, _PLAIN_SHARE)
    if cloth is None or cloth.sum() < _LEAST_PIXELS:
        return _histogram(pixels.reshape(-1, 3))
    return _histogram(pixels[cloth])


def colour_agreement(crop: Colours, thumbnail: Colours) -> float:
    """Bhattacharyya coefficient of two colour histograms: 1 for equal ones, 0 when they share no colour."""
    return float(crop @ thumbnail)


def _pixels(image: Image.Image) -> NDArray[np.float64]:
    small = image.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)  # averaging would mix the colours of a pattern
    return np.asarray(small.convert("YCbCr"), np.float64)


def _histogram(pixels: NDArray[np.float64]) -> Colours:
    """Each pixel, (n, 3), shared out among the eight nearest bins, so that a small shift of colour changes little."""
    low, high, bins = (np.array(values, np.float64) for values in (_LOW, _HIGH, _BINS))
    place = np.clip((pixels - low) / (high - low), 0, 1) * bins + 0.5  # a bin's centre is a whole number
    floor = np.minimum(np.floor(place).astype(np.int64), np.array(_BINS))
    part = place - floor
    shape = tuple(size + 2 for size in _BINS)
    total = np.zeros(int(np.prod(shape)))
    for corner in np.ndindex(2, 2, 2):
        weight = np.abs(1 - np.array(corner) - part).prod(1)
        flat = np.ravel_multi_index(tuple((floor + corner).T), shape)
        total += np.bincount(flat, weight, len(total))
    root = np.sqrt(total)
    return np.asarray(root / np.linalg.norm(root))
