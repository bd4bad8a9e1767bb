"""One Milvus collection: rows of a catalog, each with the state of the collection in which it was born and died."""

import base64
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pymilvus import DataType, MilvusClient

from search.errors import IndexBuildError
from search.index.config import IndexConfig
from search.index.manifest import IndexManifest
from search.index.milvus import MilvusIndex, alive, any_of, reaching
from search.index.products import PRODUCTS, Rows

_FOREVER: Final = 2**62
_BATCH: Final = 500  # rows sent at once: with thumbnails well below the 64 MB that a request may have
_TEXT: Final = 65_535  # bytes of a string, Milvus' limit; a thumbnail of 256 px takes a third of it
_KEY: Final = 1_024  # bytes of a primary key
_QUERIES: Final = 32  # of each category, by which recall is measured
_TOP: Final = 10
_TIE: Final = 1e-5  # as in `search.index.recall`
_FIELDS: Final = [*PRODUCTS.names, "row", "born", "died", "thumbnail", "vector"]

Vectors = npt.NDArray[np.float32]


class MilvusCollection:
    """Writes and counts rows. The arguments of its methods are trusted."""

    def __init__(self, client: MilvusClient, name: str) -> None:
        self._client = client
        self.name = name

    def create(self, rows: Iterable[Rows], config: IndexConfig) -> tuple[int, dict[str, Vectors]]:
        """Make the collection anew and fill it; gives the vectors' length and some of each category, as queries.

        Raises:
            IndexBuildError: there is no row, a thumbnail is too large, or what `rows` itself refuses.
        """
        self.drop()
        counts: dict[str, int] = defaultdict(int)
        queries: dict[str, Vectors] = {}
        for part in rows:
            dim = part.vectors.shape[1]
            if not counts:
                self._create(dim)
            categories = np.asarray(part.products.column("category").to_pylist())
            for category in np.unique(categories).tolist():
                own = part.vectors[categories == category]
                counts[category] += len(own)
                queries[category] = np.concatenate([queries.get(category, own[:0]), own])[-_QUERIES:]
            self.insert([part], 0)
        if not counts:
            raise IndexBuildError("no rows: there is nothing to search")
        self._index(max(counts.values()), config)
        return next(iter(queries.values())).shape[1], queries

    def exists(self) -> bool:
        """Whether Milvus has it."""
        with reaching():
            return bool(self._client.has_collection(self.name))

    def drop(self) -> None:
        """Remove the collection, if there is one."""
        if self.exists():
            self._client.drop_collection(self.name)

    def insert(self, parts: Iterable[Rows], state: int) -> None:
        """Add rows that are alive from `state` on. Raises `IndexBuildError`."""
        self._write([_outgoing(row, state) for part in parts for row in _unpacked(part)])

    def bury(self, index: MilvusIndex, ids: Sequence[str], state: int) -> None:
        """Let the products of a version be dead from `state` on."""
        for part in _parts(ids):
            self._write([{**row, "died": state} for row in index.rows(part, _FIELDS)])

    def undo(self, state: int) -> None:
        """Take back whatever was done after `state`: by a writer that was killed, or in a version that was left."""
        self._client.delete(self.name, filter=f"born > {state}")
        rule = f"died > {state} and died < {_FOREVER}"
        while rows := self._client.query(self.name, filter=rule, output_fields=_FIELDS, limit=_BATCH):
            self._write([{**row, "died": _FOREVER} for row in rows])

    def prune(self, state: int) -> None:
        """Remove the rows that neither `state` nor any later one sees."""
        self._client.delete(self.name, filter=f"died <= {state}")

    def counts(self, state: int) -> dict[str, int]:
        """Products of a state per category, where there are any."""
        found = {name: self._count(alive(state), name) for name in sorted(self._client.list_partitions(self.name))}
        return {name: count for name, count in found.items() if count}

    def holds(self, products: Collection[str], pictures: Collection[str]) -> int:
        """How many rows, dead ones too, are of these product ids or thumbnails (sha256)."""
        rows: set[str] = set()
        for field, values in (("id", products), ("sha256", pictures)):
            for part in _parts(sorted(values)):
                found = self._client.query(self.name, filter=any_of(field, part), output_fields=["row"])
                rows.update(row["row"] for row in found)
        return len(rows)

    def _count(self, rule: str, partition: str) -> int:
        found = self._client.query(self.name, filter=rule, output_fields=["count(*)"], partition_names=[partition])
        return int(found[0]["count(*)"])

    def _create(self, dim: int) -> None:
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("row", DataType.VARCHAR, is_primary=True, max_length=_KEY)
        for field in PRODUCTS:
            if field.name == "price":
                schema.add_field("price", DataType.INT64, nullable=True)
            else:
                schema.add_field(field.name, DataType.VARCHAR, max_length=_TEXT, nullable=field.nullable)
        schema.add_field("born", DataType.INT64)
        schema.add_field("died", DataType.INT64)
        schema.add_field("thumbnail", DataType.VARCHAR, max_length=_TEXT)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        self._client.create_collection(self.name, schema=schema, consistency_level="Strong")

    def _index(self, largest: int, config: IndexConfig) -> None:
        """Exact while the largest category is small, inverted lists beyond, as in the embedded index."""
        self._client.flush(self.name)
        parameters = self._client.prepare_index_params()
        if largest <= config.exact_limit:
            parameters.add_index("vector", index_type="FLAT", metric_type="IP")
        else:
            lists = {"nlist": round(2.5 * math.sqrt(largest))}
            parameters.add_index("vector", index_type="IVF_FLAT", metric_type="IP", params=lists)
        self._client.create_index(self.name, parameters)
        self._client.load_collection(self.name)

    def _write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows, or replace those of the same key, each in its category's partition."""
        by_category: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_category[row["category"]].append(row)
        for category, inside in by_category.items():
            if not self._client.has_partition(self.name, category):
                self._client.create_partition(self.name, category)
            for part in _parts(inside):
                self._client.upsert(self.name, part, partition_name=category)


def measured(
    client: MilvusClient, manifest: IndexManifest, rows: Iterable[Rows], queries: dict[str, Vectors]
) -> IndexManifest:
    """The manifest with recall@10 of every category, and with as many probes as the promise takes.

    The exact side reads all rows once more and holds a batch of them: the catalog may be larger than memory.
    """
    owners = np.repeat(list(queries), [len(part) for part in queries.values()])
    asked = np.concatenate(list(queries.values()))
    bars = _bars(rows, asked)
    lists = round(2.5 * math.sqrt(max(manifest.counts.values())))
    probes = 16
    while True:
        manifest = manifest.model_copy(update={"probes": min(probes, lists)})
        found = {name: _found(MilvusIndex(client, manifest), name, asked, bars[name]) for name in manifest.counts}
        own = {name: round(float(right[owners == name].mean()), 4) for name, right in found.items()}
        other = {
            name: round(float(right[owners != name].mean()), 4) for name, right in found.items() if len(queries) > 1
        }
        manifest = manifest.model_copy(update={"recall_at_10": own, "recall_elsewhere_at_10": other})
        if probes >= lists or manifest.lowest_recall >= manifest.config.promised_recall:
            return manifest
        probes *= 2


def _bars(rows: Iterable[Rows], queries: Vectors) -> dict[str, Vectors]:
    """Category → the ten best scores there of every query, shape (m, 10), -inf where there are fewer."""
    best: dict[str, Vectors] = {}
    for part in rows:
        categories = np.asarray(part.products.column("category").to_pylist())
        for category in np.unique(categories).tolist():
            scores = queries @ part.vectors[categories == category].T
            known = best.get(category, np.full((len(queries), _TOP), -np.inf, np.float32))
            best[category] = np.sort(np.concatenate([known, scores], axis=1), axis=1)[:, -_TOP:]
    return best


def _found(index: MilvusIndex, category: str, queries: Vectors, best: Vectors) -> npt.NDArray[np.float64]:
    """Share of each query's exact top ten that is found, shape (m,)."""
    hits = index.search_many(queries, [category] * len(queries), _TOP)
    top = min(_TOP, index.manifest.counts[category])
    bars = best[:, -top] - _TIE
    return np.array([sum(hit.score >= bar for hit in found) / top for found, bar in zip(hits, bars, strict=True)])


def _unpacked(rows: Rows) -> Iterator[dict[str, Any]]:
    for product, thumbnail, vector in zip(rows.products.to_pylist(), rows.thumbnails, rows.vectors, strict=True):
        yield {**product, "thumbnail": base64.b64encode(thumbnail.as_py()).decode(), "vector": vector}


def _outgoing(row: dict[str, Any], state: int) -> dict[str, Any]:
    if len(row["thumbnail"]) > _TEXT:
        raise IndexBuildError(f"thumbnail: at most {_TEXT * 3 // 4} bytes for Milvus, {row['id']} has more")
    return {**row, "row": f"{row['id']}@{state}", "born": state, "died": _FOREVER}


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
