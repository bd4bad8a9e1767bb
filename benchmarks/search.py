"""Nearest products with a category filter: this index beside the prior loop and what else there is, at two sizes.

One query at a time, on one thread. QPS counts the processor's time, so that other work on the machine counts little;
p50 and p99 are of the clock. Each way answers for as many of the 1,000 queries as it can in its seconds. Peers that are
not installed (`pip install -e '.[bench]'`) are left out, and so is, with a line that says so, what would take longer to
load and to answer the fewest queries than `--patience` allows, by what it took at the size before. "elsewhere" is the
recall of queries whose filter names another category than the one they look like.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
import numpy.typing as npt

from benchmarks.search_ways import PRIOR, PRODUCTS, THIS, TOP, VARIANTS, WAYS, Rows, Way, timer
from benchmarks.vectors import NAMES, Catalog, made_up

_SECONDS: Final = 2.5  # of the processor, for one way at one size
_FEWEST: Final = 3  # queries, however slow
_ELSEWHERE: Final = 100  # queries


@dataclass(frozen=True)
class Figures:
    """What was measured of one way at one size."""

    qps: float
    p50: float  # µs
    p99: float  # µs
    recall: float
    elsewhere: float
    asked: int
    build: float  # s of the processor
    loaded: float  # s of the clock from vectors to a way that answers
    size: int  # bytes on disk; 0 where it is kept in memory only

    @property
    def least(self) -> float:
        """Seconds to load it and to ask the fewest queries."""
        return self.loaded + 3 * _FEWEST * self.p50 / 1e6


def main() -> None:
    """Time every way at every size, print a table, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[90_000, 1_000_000])
    usual = [name for name in WAYS if name not in VARIANTS]
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=usual, metavar="WAY")
    parser.add_argument("--patience", type=float, default=150.0, help="seconds that a way may take (default 150)")
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    names = [name for name in WAYS if name in options.ways and importlib.util.find_spec(WAYS[name][0])]
    found: dict[tuple[str, int], Figures] = {}
    titles = ("QPS", "p50 µs", "p99 µs", "recall", "elsewhere", "queries", "build s", "MB", "peak MiB")
    print(f"{'way':<26}{'products':>10}" + "".join(f"{title:>10}" for title in titles))
    for size in options.sizes:
        found |= _all(names, size, options.patience, found)
    print(json.dumps(_summary(found, options.sizes)))


def _all(
    names: Sequence[str], size: int, patience: float, before: dict[tuple[str, int], Figures]
) -> dict[tuple[str, int], Figures]:
    """Every way at one size, but those that would load for too long by what smaller sizes took."""
    catalog = made_up(size)
    truth = _truth(catalog, catalog.own), _truth(catalog, _others(catalog)[:_ELSEWHERE])
    found = {}
    with tempfile.TemporaryDirectory() as root:
        for name in names:
            expected = max((size / known * old.least for (of, known), old in before.items() if of == name), default=0)
            if expected > patience and name not in (THIS, PRODUCTS):
                print(f"{name:<26}{size:>10,}   left out: it would take about {expected:.0f} s", flush=True)
                continue
            import_module(WAYS[name][0])  # is no part of its build
            folder = Path(root) / (THIS if name == PRODUCTS else name)
            folder.mkdir(exist_ok=True)
            found[name, size] = figures = _measure(WAYS[name][1], catalog, folder, *truth)
            _show(name, size, figures)
            if name != THIS:
                shutil.rmtree(folder)
    return found


def _others(catalog: Catalog) -> npt.NDArray[np.int64]:
    return (catalog.own + 1 + np.arange(len(catalog.own)) % (len(NAMES) - 1)) % len(NAMES)


def _truth(catalog: Catalog, categories: npt.NDArray[np.int64]) -> list[float]:
    """Tenth-best score of each query in a category: a hit that reaches it is right."""
    edges = np.searchsorted(catalog.categories, np.arange(len(NAMES) + 1))
    return [
        float(np.partition(catalog.vectors[edges[category] : edges[category + 1]] @ query, -TOP)[-TOP])
        for query, category in zip(catalog.queries, categories, strict=False)
    ]


def _measure(way: Way, catalog: Catalog, folder: Path, own: list[float], elsewhere: list[float]) -> Figures:
    timer.start()
    began, clocked = timer.began, time.perf_counter()
    ask = way(catalog, folder)
    loaded = time.perf_counter() - clocked
    if timer.began == began:
        timer.stop()
    build = timer.seconds
    for query, category in zip(catalog.queries[:_FEWEST], catalog.own, strict=False):  # pages and caches
        ask(query, int(category))
    clock, answers, start = [], [], time.process_time()
    for query, category in zip(catalog.queries, catalog.own.tolist(), strict=True):
        before = time.perf_counter()
        answers.append(ask(query, category))
        clock.append(time.perf_counter() - before)
        if time.process_time() - start > _SECONDS and len(answers) >= _FEWEST:
            break
    qps = len(answers) / (time.process_time() - start)
    few = _ELSEWHERE if qps > 100 else _FEWEST
    foreign = [ask(query, int(to)) for query, to in zip(catalog.queries[:few], _others(catalog), strict=False)]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".arrow")
    right = _recall(catalog, answers, own), _recall(catalog, foreign, elsewhere)
    p50, p99 = np.quantile(clock, [0.5, 0.99]) * 1e6
    return Figures(qps, p50, p99, *right, len(answers), build, loaded, size)


def _recall(catalog: Catalog, answers: Sequence[Rows], bars: Sequence[float]) -> float:
    right = [
        sum(float(score) >= bar - 1e-5 for score in catalog.vectors[np.unique(np.asarray(rows, np.int64))] @ query)
        for rows, query, bar in zip(answers, catalog.queries, bars, strict=False)
    ]
    return sum(right) / (TOP * len(answers))


def _show(name: str, size: int, figures: Figures) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values = (
        f"{figures.qps:,.1f}" if figures.qps < 100 else f"{figures.qps:,.0f}",
        f"{figures.p50:,.0f}",
        f"{figures.p99:,.0f}",
        f"{figures.recall:.4f}",
        f"{figures.elsewhere:.3f}",
        f"{figures.asked}",
        f"{figures.build:.1f}",
        f"{figures.size / 1e6:.0f}",
        f"{peak:.0f}",
    )
    print(f"{name:<26}{size:>10,}" + "".join(f"{value:>10}" for value in values), flush=True)


def _summary(found: dict[tuple[str, int], Figures], sizes: Sequence[int]) -> dict[str, Any]:
    """QPS of this index by those of the loop as it was, None where one was not measured; and its lowest recall."""

    def ratio(size: int) -> float | None:
        ours, prior = found.get((THIS, size)), found.get((PRIOR, size))
        return round(ours.qps / prior.qps, 1) if ours and prior else None

    recalls = [found[THIS, size].recall for size in sizes if (THIS, size) in found]
    return {
        "vs_prior_loop_90k": ratio(90_000),
        "vs_prior_loop_1m": ratio(1_000_000),
        "recall_at_10": round(min(recalls), 4) if recalls else None,
    }


if __name__ == "__main__":
    main()
