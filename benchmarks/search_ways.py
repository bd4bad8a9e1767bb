"""Ways to find the nearest products of a category: the prior loop, this index, and what else there is."""

import shutil
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import faiss
import numpy as np
import numpy.typing as npt

from benchmarks.vectors import NAMES, Catalog, as_table
from search.index import Index, IndexConfig, build_index

Rows = Sequence[int] | npt.NDArray[np.int64]
Ask = Callable[[npt.NDArray[np.float32], int], Rows]
"""(query of shape (d,), category) → the ten nearest, as places in the catalog."""
Way = Callable[[Catalog, Path], Ask]
"""(catalog, empty folder) → something to ask."""

TOP: Final = 10


class Timer:
    """Seconds of the processor between the last start and stop."""

    def __init__(self) -> None:
        self.seconds = self.began = 0.0

    def start(self) -> None:
        """Count from now."""
        self.began = time.process_time()

    def stop(self) -> None:
        """Count no further."""
        self.seconds = time.process_time() - self.began


timer = Timer()


def _prior(catalog: Catalog, folder: Path) -> Ask:
    """As it was: every distance in float64, all of them sorted; the category is looked at last."""
    del folder
    target = catalog.vectors.astype(np.float64)

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        order: npt.NDArray[np.int64] = np.argsort(np.linalg.norm(query - target, axis=1))
        inside: npt.NDArray[np.int64] = order[catalog.categories[order] == category]
        return inside[:TOP]

    return ask


def _prior_tuned(catalog: Catalog, folder: Path) -> Ask:
    """The same loop at its best: a float32 product over all categories, a mask, and no full sort."""
    del folder

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        scores = np.where(catalog.categories == category, catalog.vectors @ query, -2)
        best: npt.NDArray[np.int64] = np.argpartition(-scores, TOP)[:TOP]
        return best[np.argsort(-scores[best])]

    return ask


def _ours(config: IndexConfig) -> Way:
    def way(catalog: Catalog, folder: Path) -> Ask:
        table = as_table(catalog, folder / "embeddings")
        timer.start()  # a shop has the table already
        build_index(table, folder / "index", "made-up", config=config)
        timer.stop()
        shutil.rmtree(folder / "embeddings")
        index = Index.open(folder / "index")
        return lambda query, category: index.nearest(query, NAMES[category], TOP)[1]

    return way


def _with_products(catalog: Catalog, folder: Path) -> Ask:
    """The index that was just built, with the names, prices and links of what it finds."""
    del catalog
    index = Index.open(folder / "index")
    return lambda query, category: [int(hit.product.product_id) for hit in index.search(query, NAMES[category], TOP)]


def _faiss_flat(catalog: Catalog, folder: Path) -> Ask:
    del folder
    edges = np.searchsorted(catalog.categories, np.arange(len(NAMES) + 1))
    parts = []
    for start, end in pairwise(edges):
        part = faiss.IndexFlatIP(catalog.vectors.shape[1])
        part.add(catalog.vectors[start:end])
        parts.append(part)

    def ask(query: npt.NDArray[np.float32], category: int) -> Rows:
        rows: npt.NDArray[np.int64] = edges[category] + parts[category].search(query[None], TOP)[1][0]
        return rows

    return ask


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
        rows: npt.NDArray[np.int64] = edges[category] + graphs[category].search(query[None], TOP)[1][0]
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
        rows = graphs[category].search(query, TOP + 30).keys
        order = np.argsort(-(catalog.vectors[rows] @ query))[:TOP]
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
            picked: list[int] = found.limit(TOP).select(["row", "_distance"]).to_arrow()["row"].to_pylist()
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
        (hits,) = client.search("products", [query], limit=TOP, partition_names=[NAMES[category]])
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
        found = client.query_points("p", query=query, query_filter=models.Filter(must=[rule]), limit=TOP)
        return [int(point.id) for point in found.points]

    return ask


THIS: Final = "this"
PRODUCTS: Final = "this, with products"
PRIOR: Final = "prior loop, as it was"
WAYS: Final[dict[str, tuple[str, Way]]] = {  # the module that it needs, and how
    PRIOR: ("numpy", _prior),
    "prior loop, tuned": ("numpy", _prior_tuned),
    THIS: ("faiss", _ours(IndexConfig())),
    PRODUCTS: ("faiss", _with_products),  # after the one above, in its folder
    "this, float32 lists": ("faiss", _ours(IndexConfig(int8_from=10_000_000))),
    "faiss exact": ("faiss", _faiss_flat),
    "faiss HNSW16 ef64": ("faiss", _faiss_hnsw),
    "usearch int8 + re-rank": ("usearch", _usearch),
    "LanceDB, no index": ("lancedb", _lancedb(codes=False)),
    "LanceDB, IVF_PQ": ("lancedb", _lancedb(codes=True)),
    "milvus-lite": ("pymilvus", _milvus),
    "qdrant, local": ("qdrant_client", _qdrant),
}
VARIANTS: Final = ("this, float32 lists", "usearch int8 + re-rank")  # only when asked for
