"""The colours of the drawn world: few and shared, so that a colour alone names no product."""

from typing import Final

Colour = tuple[int, int, int]

FABRIC: Final[dict[str, Colour]] = {
    "black": (34, 34, 38),
    "white": (240, 240, 236),
    "grey": (140, 142, 146),
    "navy": (36, 48, 92),
    "beige": (214, 192, 156),
    "brown": (112, 72, 46),
    "red": (196, 42, 46),
    "pink": (236, 150, 170),
    "olive": (104, 108, 58),
    "green": (40, 128, 84),
    "sky": (124, 178, 222),
    "blue": (40, 92, 190),
    "yellow": (238, 198, 60),
    "purple": (118, 76, 150),
    "orange": (228, 122, 44),
    "burgundy": (108, 28, 48),
}
"""Fabric colours by name (sRGB)."""

COLOURWAYS: Final[tuple[tuple[str, str, str], ...]] = (
    ("black", "white", "red"),
    ("black", "grey", "yellow"),
    ("black", "beige", "orange"),
    ("white", "black", "blue"),
    ("white", "navy", "red"),
    ("white", "green", "orange"),
    ("white", "sky", "burgundy"),
    ("grey", "navy", "orange"),
    ("grey", "burgundy", "white"),
    ("grey", "black", "pink"),
    ("navy", "white", "red"),
    ("navy", "beige", "yellow"),
    ("navy", "pink", "sky"),
    ("beige", "brown", "green"),
    ("beige", "black", "red"),
    ("brown", "beige", "sky"),
    ("red", "white", "navy"),
    ("red", "black", "beige"),
    ("pink", "burgundy", "white"),
    ("pink", "white", "green"),
    ("olive", "beige", "black"),
    ("olive", "orange", "white"),
    ("green", "yellow", "navy"),
    ("green", "white", "pink"),
    ("sky", "white", "orange"),
    ("sky", "navy", "yellow"),
    ("blue", "white", "red"),
    ("blue", "yellow", "black"),
    ("yellow", "black", "purple"),
    ("purple", "pink", "yellow"),
    ("orange", "navy", "white"),
    ("burgundy", "beige", "sky"),
)
"""Main, second and accent colour that go together: many products share each, as in a shop."""
SKIN: Final[tuple[Colour, ...]] = ((246, 214, 188), (232, 190, 156), (206, 158, 122), (164, 114, 82), (112, 74, 54))
HAIR: Final[tuple[Colour, ...]] = (
    (28, 24, 24),
    (58, 38, 28),
    (104, 66, 38),
    (180, 138, 76),
    (150, 150, 154),
    (140, 58, 36),
)


def luminance(colour: Colour) -> float:
    """Return the luma (BT.601) of an RGB colour, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` is the part of the second, 0 to 1."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(first, second, strict=True))
    return r, g, b


def darker(colour: Colour, share: float) -> Colour:
    """Return the colour with `share` of its light taken away."""
    return mix(colour, (0, 0, 0), share)


def lighter(colour: Colour, share: float) -> Colour:
    """Return the colour moved towards white by `share`."""
    return mix(colour, (255, 255, 255), share)


def contrast(first: Colour, second: Colour) -> float:
    """Return the Euclidean RGB distance of two colours: 0 to 441."""
    return float(sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5)
