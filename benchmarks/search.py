"""Nearest products with a category filter: this index beside the prior loop and what else there is, at two sizes.

One query at a time, on one thread. QPS counts the processor's time, so that other work on the machine counts little;
p50 and p99 are of the clock. Each way answers for as many of the 1,000 queries as it can in its seconds; peers that are
not installed (`pip install -e '.[bench]'`) are left out, and those that take too long to load where products are many.
"elsewhere" is the recall of queries whose filter names another category than the one they look like.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
import numpy.typing as npt

from benchmarks.vectors import NAMES, Catalog, as_table, made_up
from search.index import Index, IndexConfig, build_index

Rows = Sequence[int] | npt.NDArray[np.int64]
Ask = Callable[[npt.NDArray[np.float32], int], Rows]
"""(query of shape (d,), category) → the ten nearest, as places in the catalog."""
Way = Callable[[Catalog, Path], Ask]
"""(catalog, empty folder) → something to ask."""

_TOP: Final = 10
_SECONDS: Final = 6.0  # of the processor, for one way at one size
_ELSEWHERE: Final = 100  # queries
_SMALL: Final = 200_000  # products up to which the slow ones are loaded


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
    size: int  # bytes on disk; 0 where it is kept in memory only


def _prior(catalog: Catalog, folder: Path) -> Ask:
    """As it was: every distance in float64, all of them sorted; the category is looked at last."""
    del folder
    target = catalog.vectors.astype(np.float64)

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        order: npt.NDArray[np.int64] = np.argsort(np.linalg.norm(query - target, axis=1))
        inside: npt.NDArray[np.int64] = order[catalog.categories[order] == category]
        return inside[:_TOP]

    return ask


def _prior_tuned(catalog: Catalog, folder: Path) -> Ask:
    """The same loop at its best: a float32 product over all categories, a mask, and no full sort."""
    del folder

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        scores = np.where(catalog.categories == category, catalog.vectors @ query, -2)
        best: npt.NDArray[np.int64] = np.argpartition(-scores, _TOP)[:_TOP]
        return best[np.argsort(-scores[best])]

    return ask


def _ours(config: IndexConfig, *, products: bool = False) -> Way:
    def way(catalog: Catalog, folder: Path) -> Ask:
        root = folder / "index"
        table = as_table(catalog, folder / "embeddings")
        _timer.start()  # a shop has the table already
        build_index(table, root, "made-up", config=config)
        _timer.stop()
        shutil.rmtree(folder / "embeddings")
        index = Index.open(root)
        if products:
            return lambda query, category: [
                int(hit.product.product_id) for hit in index.search(query, NAMES[category], _TOP)
            ]
        return lambda query, category: index.nearest(query, NAMES[category], _TOP)[1]

    return way


def _faiss_hnsw(catalog: Catalog, folder: Path) -> Ask:
    del folder
    edges = np.searchsorted(catalog.categories, np.arange(len(NAMES) + 1))
    graphs = []
    for start, end in pairwise(edges):
        graph = faiss.IndexHNSWFlat(catalog.vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction, graph.hnsw.efSearch = 100, 64
        graph.add(catalog.vectors[start:end])
        graphs.append(graph)

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        rows: npt.NDArray[np.int64] = edges[category] + graphs[category].search(query[None], _TOP)[1][0]
        return rows

    return ask


def _usearch(catalog: Catalog, folder: Path) -> Ask:
    del folder
    from usearch.index import Index as Usearch

    graphs = []
    for category in range(len(NAMES)):
        rows = np.flatnonzero(catalog.categories == category)
        graph = Usearch(ndim=catalog.vectors.shape[1], metric="cos", dtype="i8", connectivity=16, expansion_search=64)
        graph.add(rows, catalog.vectors[rows])
        graphs.append(graph)

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        rows = graphs[category].search(query, _TOP + 30).keys
        order = np.argsort(-(catalog.vectors[rows] @ query))[:_TOP]
        best: npt.NDArray[np.int64] = rows[order]
        return best

    return ask


def _lancedb(*, codes: bool) -> Way:
    def way(catalog: Catalog, folder: Path) -> Ask:
        import lancedb
        import pyarrow as pa
        from lancedb.index import IvfPq

        count, dim = catalog.vectors.shape
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(catalog.vectors.ravel()), dim)
        rows = pa.table({"row": np.arange(count), "category": catalog.categories, "vector": vectors})
        table = lancedb.connect(folder).create_table("products", rows)
        if codes:
            table.create_index("vector", config=IvfPq(distance_type="dot", num_sub_vectors=32))

        def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
            found = table.search(query).distance_type("dot").where(f"category = {category}", prefilter=True)
            if codes:
                found = found.nprobes(64).refine_factor(20)
            picked: list[int] = found.limit(_TOP).select(["row", "_distance"]).to_arrow()["row"].to_pylist()
            return picked

        return ask

    return way


def _milvus(catalog: Catalog, folder: Path) -> Ask:
    from pymilvus import DataType, MilvusClient

    client = MilvusClient(str(folder / "milvus.db"))
    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=catalog.vectors.shape[1])
    parameters = client.prepare_index_params()
    parameters.add_index("vector", index_type="FLAT", metric_type="IP")
    client.create_collection("products", schema=schema, index_params=parameters)
    for category, name in enumerate(NAMES):
        client.create_partition("products", name)
        rows = np.flatnonzero(catalog.categories == category).tolist()
        for start in range(0, len(rows), 5000):
            part = [{"row": row, "vector": catalog.vectors[row]} for row in rows[start : start + 5000]]
            client.insert("products", part, partition_name=name)
    client.flush("products")

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        (hits,) = client.search("products", [query], limit=_TOP, partition_names=[NAMES[category]])
        return [hit["row"] for hit in hits]

    return ask


def _qdrant(catalog: Catalog, folder: Path) -> Ask:
    del folder
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    size = catalog.vectors.shape[1]
    client.create_collection("p", vectors_config=models.VectorParams(size=size, distance=models.Distance.DOT))
    payload = [{"category": int(category)} for category in catalog.categories]
    client.upload_collection("p", vectors=catalog.vectors, payload=payload, ids=range(len(payload)))

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        rule = models.FieldCondition(key="category", match=models.MatchValue(value=category))
        found = client.query_points("p", query=query, query_filter=models.Filter(must=[rule]), limit=_TOP)
        return [int(point.id) for point in found.points]

    return ask


_WAYS: Final[dict[str, tuple[str, bool, Way]]] = {  # module, too slow to load when large, how
    "prior loop, as it was": ("numpy", False, _prior),
    "prior loop, tuned": ("numpy", False, _prior_tuned),
    "this": ("faiss", False, _ours(IndexConfig())),
    "this, with products": ("faiss", False, _ours(IndexConfig(), products=True)),
    "this, exact only": ("faiss", False, _ours(IndexConfig(exact_limit=10_000_000))),
    "this, float32 lists": ("faiss", False, _ours(IndexConfig(int8_from=10_000_000))),
    "faiss HNSW16 ef64": ("faiss", False, _faiss_hnsw),
    "usearch int8 + re-rank": ("usearch", False, _usearch),
    "LanceDB, no index": ("lancedb", False, _lancedb(codes=False)),
    "LanceDB, IVF_PQ": ("lancedb", False, _lancedb(codes=True)),
    "milvus-lite": ("pymilvus", True, _milvus),
    "qdrant, local": ("qdrant_client", True, _qdrant),
}


class _Timer:
    """Seconds of the processor between the last start and stop."""

    def __init__(self) -> None:
        self.seconds = self._began = 0.0

    def start(self) -> None:
        self._began = time.process_time()

    def stop(self) -> None:
        self.seconds = time.process_time() - self._began


_timer = _Timer()


def main() -> None:
    """Time every way at every size, print a table, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[90_000, 1_000_000])
    parser.add_argument("--ways", nargs="+", choices=[*_WAYS], default=[*_WAYS], metavar="WAY")
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    ways = {name: way for name, way in _WAYS.items() if name in options.ways and importlib.util.find_spec(way[0])}
    found: dict[tuple[str, int], Figures] = {}
    titles = ("QPS", "p50 µs", "p99 µs", "recall", "elsewhere", "queries", "build s", "MB", "peak MiB")
    print(f"{'way':<26}{'products':>10}" + "".join(f"{title:>10}" for title in titles))
    for size in options.sizes:
        catalog = made_up(size)
        truth = _truth(catalog, catalog.own), _truth(catalog, _others(catalog)[:_ELSEWHERE])
        for name, (_, slow, way) in ways.items():
            if not slow or size <= _SMALL:
                with tempfile.TemporaryDirectory() as folder:
                    found[name, size] = figures = _measure(way, catalog, Path(folder), *truth)
                _show(name, size, figures)
    print(json.dumps(_summary(found, options.sizes)))


def _others(catalog: Catalog) -> npt.NDArray[np.int64]:
    return (catalog.own + 1 + np.arange(len(catalog.own)) % (len(NAMES) - 1)) % len(NAMES)


def _truth(catalog: Catalog, categories: npt.NDArray[np.int64]) -> list[float]:
    """Tenth-best score of each query in a category: a hit that reaches it is right."""
    edges = np.searchsorted(catalog.categories, np.arange(len(NAMES) + 1))
    return [
        float(np.partition(catalog.vectors[edges[category] : edges[category + 1]] @ query, -_TOP)[-_TOP])
        for query, category in zip(catalog.queries, categories, strict=False)
    ]


def _measure(way: Way, catalog: Catalog, folder: Path, own: list[float], elsewhere: list[float]) -> Figures:
    _timer.start()
    began = _timer._began
    ask = way(catalog, folder)
    if _timer._began == began:
        _timer.stop()
    build = _timer.seconds
    for query, category in zip(catalog.queries[:5], catalog.own, strict=False):  # pages and caches
        ask(query, int(category))
    clock, answers, start = [], [], time.process_time()
    for query, category in zip(catalog.queries, catalog.own.tolist(), strict=True):
        before = time.perf_counter()
        answers.append(ask(query, category))
        clock.append(time.perf_counter() - before)
        if time.process_time() - start > _SECONDS:
            break
    qps = len(answers) / (time.process_time() - start)
    few = _ELSEWHERE if qps > 20 else 10
    foreign = [ask(query, int(to)) for query, to in zip(catalog.queries[:few], _others(catalog), strict=False)]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".arrow")
    right = _recall(catalog, answers, own), _recall(catalog, foreign, elsewhere)
    p50, p99 = np.quantile(clock, [0.5, 0.99]) * 1e6
    return Figures(qps, p50, p99, *right, len(answers), build, size)


def _recall(catalog: Catalog, answers: Sequence[Rows], bars: Sequence[float]) -> float:
    right = [
        sum(float(score) >= bar - 1e-5 for score in catalog.vectors[np.unique(np.asarray(rows, np.int64))] @ query)
        for rows, query, bar in zip(answers, catalog.queries, bars, strict=False)
    ]
    return sum(right) / (_TOP * len(answers))


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
        ours, prior = found.get(("this", size)), found.get(("prior loop, as it was", size))
        return round(ours.qps / prior.qps, 1) if ours and prior else None

    recalls = [found["this", size].recall for size in sizes if ("this", size) in found]
    return {
        "vs_prior_loop_90k": ratio(90_000),
        "vs_prior_loop_1m": ratio(1_000_000),
        "recall_at_10": round(min(recalls), 4) if recalls else None,
    }


if __name__ == "__main__":
    main()
