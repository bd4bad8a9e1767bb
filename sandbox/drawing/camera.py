"""What light and lens do to a drawn picture: colour cast, exposure, shadow, blur, noise."""

from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

_CAST: Final = 0.12
"""Largest gain or loss of a channel."""
_EXPOSURE: Final = (0.88, 1.13)
_GAMMA: Final = (0.88, 1.12)
_SATURATION: Final = (0.82, 1.12)
_SHADOW: Final = 0.22
"""Light lost at the dark end of an uneven light."""
_NOISE: Final = (0.0, 5.0)  # standard deviation, of 255
_BLUR: Final = (0.0, 0.9)  # px
_TILE: Final = 640  # side of the stored noise, px: larger than any photo
FOLD_TILE: Final = 640
"""Side of the tile of creases, px: larger than any photo."""
_CREASE: Final = 0.7  # light at the bottom of the deepest crease


@lru_cache(1)
def _noise_tile() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    tile = np.random.default_rng(0).normal(size=(_TILE * 2, _TILE)).astype(np.float32)
    return np.asarray(tile)


def _tone(rng: np.random.Generator) -> list[int]:
    """Return the 768-entry table of a colour cast, an exposure and a gamma."""
    gains = rng.uniform(1 - _CAST, 1 + _CAST, size=3) * rng.uniform(*_EXPOSURE)
    gamma = rng.uniform(*_GAMMA)
    levels = (np.arange(256) / 255.0) ** gamma
    return [int(v) for v in np.clip(np.concatenate([levels * g for g in gains]) * 255, 0, 255)]


def _uneven_light(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1:1:12j, -1:1:12j]
    slope = (np.cos(angle) * x + np.sin(angle) * y) / 1.5
    corner = rng.uniform(0.0, 0.5) * (x**2 + y**2) / 2
    light = 1 - rng.uniform(0.05, _SHADOW) * np.clip(slope * 0.5 + 0.5 + corner, 0, 1)
    return Image.fromarray((light * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def shoot(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the RGB picture as a phone camera would have taken it; geometry does not change."""
    image = ImageEnhance.Color(image).enhance(float(rng.uniform(*_SATURATION))).point(_tone(rng))
    light = _uneven_light(image.size, rng)
    image = ImageChops.multiply(image, Image.merge("RGB", (light, light, light)))
    blur = float(rng.uniform(*_BLUR))
    if blur > 0.3:  # less than that is not seen
        image = image.filter(ImageFilter.BoxBlur(blur))
    sigma = float(rng.uniform(*_NOISE))
    row, column = int(rng.integers(_TILE)), int(rng.integers(_TILE - image.width))
    grain = _noise_tile()[row : row + image.height, column : column + image.width, None] * np.float32(sigma)
    return Image.fromarray(np.clip(np.asarray(image, dtype=np.float32) + grain, 0, 255).astype(np.uint8))


def gloss(image: Image.Image) -> Image.Image:
    """Return the picture with the soft glow of a generated image."""
    glow = image.filter(ImageFilter.GaussianBlur(6))
    return ImageEnhance.Color(Image.blend(image, ImageChops.screen(image, glow), 0.25)).enhance(1.25)


@lru_cache(1)
def fold_tile() -> Image.Image:
    """Return a tile of soft creases: 255 where the cloth is flat."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:FOLD_TILE, 0:FOLD_TILE].astype(np.float32) / FOLD_TILE * 2 * np.pi
    light = np.ones((FOLD_TILE, FOLD_TILE), dtype=np.float32)
    for _ in range(14):
        slope, bow = int(rng.integers(-4, 5)), rng.uniform(0.1, 0.5)
        line = np.sin((4 * x + slope * y + bow * np.sin(3 * y + rng.uniform(0, 6))) / 2 + rng.uniform(0, 6))
        reach = np.clip(np.sin(y * rng.integers(1, 4) + x + rng.uniform(0, 6)), 0, 1)
        light -= np.float32(0.2) * reach * np.exp(-((line * 7) ** 2))
    return Image.fromarray((255 * np.clip(light, _CREASE, 1)).astype(np.uint8)).filter(ImageFilter.GaussianBlur(5))
