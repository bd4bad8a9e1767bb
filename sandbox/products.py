"""The catalogue: product families whose siblings differ only in colour or only in print, sampled from a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from curation.taxonomy import CATEGORIES, ETC
from sandbox.drawing.palette import COLOURWAYS, FABRIC, Colour, contrast
from sandbox.drawing.patterns import PATTERNS
from sandbox.drawing.prints import PRINTS
from sandbox.drawing.style import GarmentStyle

ETC_SHARE: Final = 0.12
"""Part of the catalogue that is none of the seven classes."""
CLASS_SHARE: Final[Mapping[str, float]] = {
    "top": 0.18,
    "bottom": 0.16,
    "shoes": 0.16,
    "outer": 0.15,
    "bag": 0.11,
    "dress": 0.14,
    "hat": 0.10,
}
"""Parts of the garments of the catalogue by class."""
FAMILY_SIZES: Final = ((1, 0.45), (2, 0.30), (3, 0.17), (4, 0.08))
"""How many siblings a family has, with probabilities."""
COLOUR_FAMILY: Final = 0.7
"""Part of the families whose siblings differ in colour; those of the others differ in print."""

CUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "top": ("tee", "shirt", "hoodie", "knit", "polo", "tank", "blouse", "sweatshirt"),
    "outer": ("blazer", "bomber", "coat", "puffer", "cardigan", "parka", "denim", "vest"),
    "bottom": ("straight", "wide", "skinny", "cargo", "flared", "jogger", "shorts", "mini", "pleated", "pencil"),
    "dress": ("a_line", "shift", "wrap", "shirt_dress", "slip", "tiered"),
    "shoes": ("sneaker", "high_top", "runner", "loafer", "ankle_boot", "tall_boot", "pump", "sandal"),
    "bag": ("tote", "satchel", "bucket", "duffle", "round", "backpack", "shoulder"),
    "hat": ("cap", "beanie", "bucket_hat", "fedora", "beret", "sun_hat", "visor"),
    ETC: (
        "watch",
        "wallet",
        "phone",
        "glasses",
        "belt",
        "toy",
        "perfume",
        "lipstick",
        "mug",
        "headphones",
        "ring",
        "cards",
    ),
}
"""Silhouettes by class."""

SHOP_CATEGORY_IDS: Final[Mapping[str, int]] = {
    "tee": 27, "shirt": 75, "hoodie": 23, "knit": 28, "polo": 26, "tank": 24, "blouse": 74, "sweatshirt": 76,
    "cap": 103, "beanie": 104, "bucket_hat": 105, "fedora": 106, "beret": 106, "sun_hat": 105, "visor": 103,
    "outer": 63, "bottom": 65, "shoes": 34, "bag": 9, "dress": 77,
    "watch": 54, "wallet": 66, "phone": 11, "glasses": 7, "belt": 7, "toy": 67, "perfume": 46, "lipstick": 46,
    "mug": 68, "headphones": 11, "ring": 7, "cards": 67,
}  # fmt: skip
"""KREAM's `shop_category_id` by cut, or by class where the shop has one id for the class."""

BRANDS: Final = (
    "Novak",
    "Hanbit",
    "Orrin",
    "Maru",
    "Lune & Co",
    "Stadt",
    "Palgu",
    "Vesper",
    "Kite",
    "Dorim",
    "Ashby",
    "Nine Oaks",
)
_SLEEVES: Final[Mapping[str, tuple[str, ...]]] = {
    "tee": ("short", "short", "long"), "shirt": ("long", "short"), "hoodie": ("long",), "knit": ("long", "short"),
    "polo": ("short", "long"), "tank": ("none",), "blouse": ("long", "elbow"), "sweatshirt": ("long",),
    "vest": ("none",), "a_line": ("none", "short", "elbow"), "shift": ("none", "short", "long"),
    "wrap": ("elbow", "long"), "shirt_dress": ("short", "long"), "slip": ("none",), "tiered": ("short", "elbow"),
}  # fmt: skip
_NECKS: Final[Mapping[str, tuple[str, ...]]] = {
    "tee": ("crew", "v"), "shirt": ("shirt",), "hoodie": ("hood",), "knit": ("crew", "turtle", "v"), "polo": ("polo",),
    "tank": ("scoop",), "blouse": ("v", "bow"), "sweatshirt": ("crew",), "blazer": ("lapel",), "bomber": ("rib",),
    "coat": ("lapel",), "puffer": ("stand",), "cardigan": ("plain",), "parka": ("hood",), "denim": ("shirt",),
    "vest": ("stand", "plain"), "a_line": ("scoop", "crew"), "shift": ("crew", "turtle"), "wrap": ("v",),
    "shirt_dress": ("shirt",), "slip": ("scoop",), "tiered": ("v", "crew"),
}  # fmt: skip
PRINTED_CUTS: Final[Mapping[str, float]] = {
    "tee": 0.75, "sweatshirt": 0.75, "hoodie": 0.7, "tank": 0.5, "knit": 0.25, "tote": 0.75, "backpack": 0.5,
    "cap": 0.75, "bucket_hat": 0.5, "beanie": 0.5, "duffle": 0.5, "visor": 0.4, "bomber": 0.25, "mug": 0.7,
    "bucket": 0.4, "round": 0.4, "shoulder": 0.3, "satchel": 0.3,
    "shorts": 0.3, "shift": 0.3, "phone": 0.5, "cards": 0.8,
}  # fmt: skip
"""How often a cut carries a print; others never do."""
_DETAILS: Final[Mapping[str, tuple[str, ...]]] = {
    "top": ("pocket", "trim", "hem", "yoke"),
    "outer": ("pocket", "trim", "patch", "belt", "cuff"),
    "bottom": ("side_stripe", "patch", "cuff", "belt", "knee"),
    "dress": ("belt", "trim", "buttons", "hem"),
    "shoes": ("stripe", "toe_cap", "heel_tab", "thick", "swoosh", "buckle"),
    "bag": ("flap", "pocket", "trim", "long_strap", "tag"),
    "hat": ("band", "pompom", "trim", "button"),
    ETC: ("trim", "band", "tag"),
}
_TWO_PIECE: Final = ("block", "bands", "fade")
"""Patterns that would make one dress look like a top and a skirt."""
_PRINT_WIDTH: Final = (0.85, 1.15)  # head heights on a torso; smaller things scale it down where they draw it
_MIN_CONTRAST: Final = 110.0  # RGB distance under which a colour cast could pass for a sibling's colour
_RETRIES: Final = 60  # draws of a family before an equal-looking one is accepted


@dataclass(frozen=True)
class Product:
    """One thing that the shop sells. `price` is in KRW."""

    product_id: int
    category: str
    family: int
    name: str
    brand: str
    price: int
    shop_category_id: int
    style: GarmentStyle


def colourway(rng: np.random.Generator, used: Sequence[Colour] = ()) -> tuple[Colour, Colour, Colour]:
    """Draw main, second and accent colour; the main one stands out from the `used` ones."""
    ways = [tuple(FABRIC[name] for name in names) for names in COLOURWAYS]
    free = [way for way in ways if all(contrast(way[0], other) >= _MIN_CONTRAST for other in used)]
    free = free or [way for way in ways if way[0] not in used]
    main, second, accent = free[int(rng.integers(len(free)))]
    return main, second, accent


def draw_style(rng: np.random.Generator, category: str) -> GarmentStyle:
    """Draw the style of a new family of one class."""
    cut = str(rng.choice(CUTS[category]))
    main, second, accent = colourway(rng)
    printed = bool(rng.random() < PRINTED_CUTS.get(cut, 0.0))
    plain = rng.random() < (0.65 if printed else 0.22)
    patterns = [name for name in PATTERNS[1:] if category != "dress" or name not in _TWO_PIECE]
    count = int(rng.choice([0, 1, 2, 3], p=[0.1, 0.4, 0.35, 0.15]))
    return GarmentStyle(
        category=category,
        cut=cut,
        length=float(rng.choice([0.0, 0.5, 1.0])),
        width=float(rng.choice([0.0, 0.5, 1.0])),
        sleeve=str(rng.choice(_SLEEVES.get(cut, ("long",)))) if category in ("top", "outer", "dress") else "",
        neck=str(rng.choice(_NECKS[cut])) if cut in _NECKS else "",
        pattern="plain" if plain else str(rng.choice(patterns)),
        pattern_scale=float(rng.choice([0.4, 0.5, 0.65])),
        print_=str(rng.choice(PRINTS[1:])) if printed else "none",
        print_seed=int(rng.integers(2**31)),
        print_size=float(rng.uniform(*_PRINT_WIDTH)),
        print_place=str(rng.choice(["centre", "centre", "left", "low"])),
        main=main,
        second=second,
        accent=accent,
        details=tuple(sorted(rng.choice(_DETAILS[category], size=count, replace=False).tolist())),
    )


def _looks(style: GarmentStyle) -> set[tuple[object, ...]]:
    """What makes two families look alike at a glance, by shape and by cloth: they may not share all of either."""
    shape = (style.cut, style.pattern, style.print_, style.length, style.sleeve, style.details)
    return {shape, (style.main, style.pattern, style.print_)}


def _recolour(rng: np.random.Generator, style: GarmentStyle, used: Sequence[Colour]) -> GarmentStyle:
    main, second, accent = colourway(rng, used)
    return replace(style, main=main, second=second, accent=accent)


def _reprint(rng: np.random.Generator, style: GarmentStyle, used: list[str]) -> GarmentStyle:
    kinds = [kind for kind in PRINTS[1:] if kind not in used]
    return replace(style, print_=kinds[int(rng.integers(len(kinds)))], print_seed=int(rng.integers(2**31)))


def siblings(rng: np.random.Generator, style: GarmentStyle, size: int) -> list[GarmentStyle]:
    """Return `size` styles of one family, the given one first: they differ only in colour or only in print."""
    by_print = style.print_ != "none" and rng.random() >= COLOUR_FAMILY
    family = [style]
    while len(family) < size:
        if by_print:
            family.append(_reprint(rng, style, [s.print_ for s in family]))
        else:
            family.append(_recolour(rng, style, [s.main for s in family]))
    return family


def class_sizes(total: int) -> dict[str, int]:
    """Split a catalogue of `total` products over the seven classes and `etc`."""
    sizes = {ETC: round(total * ETC_SHARE)}
    garments = total - sizes[ETC]
    for category in CATEGORIES:
        sizes[category] = round(garments * CLASS_SHARE[category])
    sizes["top"] += total - sum(sizes.values())
    return sizes


def _families(rng: np.random.Generator, category: str, count: int) -> list[list[GarmentStyle]]:
    families: list[list[GarmentStyle]] = []
    seen: set[tuple[object, ...]] = set()
    left = count
    while left:
        for _ in range(_RETRIES):
            style = draw_style(rng, category)
            if not _looks(style) & seen:
                break
        size = min(left, int(rng.choice([s for s, _ in FAMILY_SIZES], p=[p for _, p in FAMILY_SIZES])))
        families.append(siblings(rng, style, size))
        seen.update(look for sibling in families[-1] for look in _looks(sibling))
        left -= size
    return families


def _name(style: GarmentStyle, number: int) -> str:
    tint = next(name for name, value in FABRIC.items() if value == style.main)
    return f"{tint.title()} {style.cut.replace('_', ' ').title()} {number:03d}"


def draw_catalogue(rng: np.random.Generator, total: int, before: int = 10_000) -> dict[int, Product]:
    """Draw `total` products; ids rise with random gaps from above `before`, a family's ids lie apart, as in a shop.

    Raises ValueError when `total` is too small to hold one product of each class.
    """
    sizes = class_sizes(total)
    if total < len(sizes) or min(sizes.values()) < 1:
        raise ValueError(f"products: {total} is too few for one product of each of the {len(sizes)} classes")
    entries: list[tuple[int, GarmentStyle]] = []
    family = 0
    for category, count in sizes.items():
        for members in _families(rng, category, count):
            entries += [(family, style) for style in members]
            family += 1
    order = rng.permutation(len(entries))
    ids = before + 1 + np.cumsum(rng.integers(1, 9, size=len(entries)))
    products = (_product(rng, int(ids[i]), *entries[int(order[i])]) for i in range(len(entries)))
    return {product.product_id: product for product in products}


def _product(rng: np.random.Generator, product_id: int, family: int, style: GarmentStyle) -> Product:
    shop_id = SHOP_CATEGORY_IDS.get(style.cut) or SHOP_CATEGORY_IDS[style.category]
    return Product(
        product_id=product_id,
        category=style.category,
        family=family,
        name=_name(style, product_id % 1000),
        brand=BRANDS[family % len(BRANDS)],
        price=int(rng.integers(19, 490)) * 1000,
        shop_category_id=shop_id,
        style=style,
    )
