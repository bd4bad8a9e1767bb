"""What a garment looks like, as numbers and names: everything the drawing routines need, and nothing random."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GarmentStyle:
    """The draw parameters of one product. Lengths are in head heights (a drawn adult is about 6.7 heads tall)."""

    category: str  # one of the seven classes or "etc"
    cut: str  # the silhouette, e.g. "hoodie", "wide", "high_top": see `sandbox.products.CUTS`
    length: float  # 0 short … 1 long, within what the cut allows
    width: float  # 0 fitted … 1 wide, within what the cut allows
    sleeve: str  # "none", "short", "elbow", "long" (uppers and dresses), else ""
    neck: str  # "crew", "v", "scoop", "turtle", "polo", "shirt" …, else ""
    pattern: str  # see `sandbox.drawing.patterns.PATTERNS`
    pattern_scale: float  # period of the pattern, in head heights
    print_: str  # see `sandbox.drawing.prints.PRINTS`; "none" for no print
    print_seed: int  # which letters, which points: two prints of one kind differ by it
    print_size: float  # width of the print, in head heights
    print_place: str  # "centre", "left", "low"
    main: tuple[int, int, int]  # RGB
    second: tuple[int, int, int]  # RGB of the pattern
    accent: tuple[int, int, int]  # RGB of print, trims and soles
    details: tuple[str, ...]  # "pocket", "buttons", "zip", "trim", "strap" …
