"""All pairs of hashes within a radius: this join beside what else there is, and how it grows.

Peers that would take too long answer for some of the hashes, and their time (but for building) is scaled up (marked ~).
Those that are not installed (`pip install -e '.[bench]'`) are left out. Every way that answers for all finds the same
pairs. Times are the processor's, of one thread, so that other work on the machine counts little.
"""

import argparse
import importlib.util
import json
import os
import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.hashes import synthetic_hashes
from curation.hamming import hamming_pairs

os.environ.setdefault("OMP_NUM_THREADS", "1")

Hashes = npt.NDArray[np.uint64]
Ask = Callable[[int], int]
"""So many of the hashes as queries → pairs found: each in both directions, and each hash with itself."""
Way = Callable[[Hashes, int], Ask]
"""(hashes, radius) → an index of them."""

_RADIUS: Final = 8
_BUDGET: Final = {"numpy": 3e8, "faiss flat": 3e9, "faiss multi-hash": 3e8, "imagededup": 1e8, "pybktree": 1e6}
"""Queries × hashes that a peer is given at most."""
_WARM: Final = 1000  # hashes that every way answers for once beforehand
_LARGEST: Final = {"imagededup": 10_000, "pybktree": 10_000}
"""Hashes; the first knows no queries, all or nothing, and building the tree of the second takes minutes beyond."""


def _ours(hashes: Hashes, radius: int) -> Ask:
    return lambda most: 2 * sum(len(i) for i, _, _ in hamming_pairs(hashes, radius)) + most


def _numpy(hashes: Hashes, radius: int) -> Ask:
    def ask(most: int) -> int:
        parts = [hashes[at : min(at + 256, most)] for at in range(0, most, 256)]
        return sum(int((np.bitwise_count(part[:, None] ^ hashes) <= radius).sum()) for part in parts)

    return ask


def _faiss(index: Any, hashes: Hashes, radius: int) -> Ask:
    rows = hashes.view(np.uint8).reshape(-1, 8)
    index.add(rows)
    return lambda most: int(index.range_search(rows[:most], radius + 1)[0][-1])  # it wants the first bit too far


def _faiss_flat(hashes: Hashes, radius: int) -> Ask:
    import faiss

    return _faiss(faiss.IndexBinaryFlat(64), hashes, radius)


def _faiss_multi(hashes: Hashes, radius: int) -> Ask:
    import faiss

    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = radius // 4  # exact: one of four parts differs in so few bits
    return _faiss(index, hashes, radius)


def _imagededup(hashes: Hashes, radius: int) -> Ask:
    from imagededup.methods import PHash

    names = {str(number): f"{value:016x}" for number, value in enumerate(hashes.tolist())}
    find = partial(PHash(verbose=False).find_duplicates, max_distance_threshold=radius, num_dist_workers=0)
    return lambda most: sum(map(len, find(encoding_map=names).values())) + most


def _pybktree(hashes: Hashes, radius: int) -> Ask:
    import pybktree

    tree = pybktree.BKTree(pybktree.hamming_distance, hashes.tolist())
    return lambda most: sum(len(tree.find(value, radius)) for value in hashes[:most].tolist())


_WAYS: Final[dict[str, tuple[str, Way]]] = {
    "this": ("numba", _ours),
    "numpy": ("numpy", _numpy),
    "faiss flat": ("faiss", _faiss_flat),
    "faiss multi-hash": ("faiss", _faiss_multi),
    "imagededup": ("imagededup", _imagededup),
    "pybktree": ("pybktree", _pybktree),
}


def main() -> None:
    """Time every way at every size, print a table, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dedup", description=__doc__)
    parser.add_argument("--largest", type=int, default=1_000_000, help="hashes; sizes are tenfold from 10,000 up")
    parser.add_argument("--radius", type=int, default=_RADIUS)
    options = parser.parse_args()
    sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= options.largest]
    ways = {name: way for name, (module, way) in _WAYS.items() if importlib.util.find_spec(module)}
    seconds: dict[tuple[str, int], float] = {}
    print(f"{'way':<20}{'hashes':>12}{'seconds':>14}{'pairs':>16}{'× this':>10}{'peak MiB':>10}")
    for size in sizes:
        hashes = synthetic_hashes(size)
        counts: dict[str, int] = {}
        for name, way in ways.items():
            if name != "this" and size > _LARGEST.get(name, 1_000_000):
                continue
            if size == sizes[0]:  # what is imported, and compiled or read from the cache, is so before the clock starts
                way(synthetic_hashes(_WARM), options.radius)(_WARM)
            most = size if name == "this" else min(size, int(_BUDGET[name] / size))
            start = time.process_time()
            ask = way(hashes, options.radius)
            built = time.process_time()
            found = ask(most)
            taken = built - start + (time.process_time() - built) * size / most
            seconds[name, size] = taken
            if most == size:
                counts[name] = (found - size) // 2
            mark, pairs = ("", f"{counts[name]:,}") if most == size else ("~", "")
            ratio = taken / seconds["this", size]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{name:<20}{size:>12,}{mark + f'{taken:.3f}':>14}{pairs:>16}{ratio:>10.1f}{peak:>10.0f}", flush=True)
        assert len(set(counts.values())) == 1, counts
    print(json.dumps(_figures(seconds, sizes)))


def _figures(seconds: dict[tuple[str, int], float], sizes: list[int]) -> dict[str, float | None]:
    """What the join is judged by; None where it was not measured."""

    def ratio(name: str, size: int) -> float | None:
        return round(seconds[name, size] / seconds["this", size], 1) if (name, size) in seconds else None

    ours = [seconds["this", size] for size in sizes]
    exponent = float(np.polyfit(np.log(sizes), np.log(ours), 1)[0]) if len(sizes) > 1 else None
    return {
        "join_1m_seconds": round(seconds["this", 1_000_000], 2) if ("this", 1_000_000) in seconds else None,
        "vs_faiss_flat_1m": ratio("faiss flat", 1_000_000),
        "vs_imagededup_10k": ratio("imagededup", 10_000),
        "scaling_exponent": exponent and round(exponent, 2),
    }


if __name__ == "__main__":
    main()
