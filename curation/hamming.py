"""All pairs of 64-bit hashes within a Hamming radius, exactly, by multi-index hashing.

Norouzi, Punjani and Fleet (2012): cut the hash into parts; two hashes within r bits of each other agree in some part
up to a few bits, so only buckets whose keys differ in so few bits are compared. How many bits each part may differ in
follows the general pigeonhole principle (Qin et al. 2018): with t such bits of a part, the sum of t + 1 over the parts
must exceed r. The number of parts and their widths are chosen by the number of hashes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations
from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]

BITS: Final = 64
CHUNK: Final = 1 << 20  # pairs handed out at a time, unless one hash alone may have more
_WIDTHS: Final = range(4, 23)  # bits of a part: its table of buckets has up to 4 · 2^22 bytes
_VISIT: Final = 12.0  # cost of looking into one bucket, in comparisons of two hashes


@dataclass(frozen=True, slots=True)
class Part:
    """Some neighbouring bits of the hash, and in how many of them the keys of compared buckets may differ."""

    shift: int
    width: int
    tolerance: int

    @property
    def masks(self) -> npt.NDArray[np.int64]:
        """What the keys of compared buckets may differ by."""
        chosen = [bits for n in range(self.tolerance + 1) for bits in combinations(range(self.width), n)]
        return np.array([sum(1 << bit for bit in bits) for bits in chosen], np.int64)

    def cost(self, rows: int, others: int) -> float:
        """Expected comparisons, were the hashes uniform."""
        masks = sum(math.comb(self.width, n) for n in range(self.tolerance + 1))
        buckets = 1 << self.width
        return float(masks * (min(buckets, rows) * _VISIT + rows * others / buckets))


def hamming_pairs(hashes: Hashes, radius: int, against: Hashes | None = None) -> Iterator[Pairs]:
    """All pairs within `radius` bits, each once, in chunks; memory is O(n + m), however many pairs there are.

    Args:
        hashes: (n,).
        radius: bits, 0-64.
        against: (m,) other hashes; without them, pairs i < j of `hashes` among themselves.

    Yields:
        Indices into `hashes`, indices into `against` (or `hashes`), distances. In no particular order.

    Raises:
        ValueError: the radius is not between 0 and 64.
    """
    if not 0 <= radius <= BITS:
        raise ValueError(f"radius: must be 0 to {BITS} bits, is {radius}")
    others = hashes if against is None else against
    if not len(hashes) or not len(others):
        return
    from curation.hamming_kernels import Scan  # numba takes a second to import

    parts = plan(len(hashes), len(others), radius)
    table = np.array([(part.shift, part.width, part.tolerance) for part in parts], np.int64)
    for number, part in enumerate(parts):
        scan = Scan(hashes, against, table, number, part.masks, radius)
        while not scan.finished:
            i, j, bits = scan.next(CHUNK)
            if against is None:
                i, j = np.minimum(i, j), np.maximum(i, j)
            yield i, j, bits


def plan(rows: int, others: int, radius: int) -> list[Part]:
    """The cheapest parts for so many hashes. One part of no width is every hash compared with every other."""
    layouts = [_layout([(0, 0)])]
    for count in range(1, min(radius + 1, BITS // _WIDTHS[0]) + 1):
        base, wider = divmod(radius + 1 - count, count)
        for width in _WIDTHS:
            rest = min(_WIDTHS[-1], (BITS - wider * width) // (count - wider))
            if rest in _WIDTHS and base + bool(wider) < width:
                layouts.append(_layout([(width, base + 1)] * wider + [(rest, base)] * (count - wider)))
    return min(layouts, key=lambda parts: sum(part.cost(rows, others) for part in parts))


def _layout(parts: Sequence[tuple[int, int]]) -> list[Part]:
    shifts = accumulate((width for width, _ in parts), initial=0)
    return [Part(shift, width, tolerance) for shift, (width, tolerance) in zip(shifts, parts, strict=False)]
