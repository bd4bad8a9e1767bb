"""A version of the index on Milvus, for catalogs that outgrow one machine: the same answers and filters.

A build is a collection with a partition per category. Updates go into that collection as rows that carry the state of
it in which they were born and the one in which they died; a version is a state, and sees what is alive in it. So a
version never changes while it is searched, and an update that was killed is invisible. Who writes is `milvus_store`.
"""

import base64
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
from pymilvus import MilvusClient, MilvusException

from search.errors import IndexMissingError, NotFoundError
from search.index.asking import Asking, Vectors
from search.index.manifest import IndexManifest
from search.index.products import EVERYTHING, PRODUCTS, Filters, Hit, Product, Rows, to_products

_MOST: Final = 16_384  # hits that Milvus gives at most
_BATCH: Final = 500  # rows read at once: with thumbnails well below the 64 MB that an answer may have
SECONDS: Final = 10.0  # that a question may take: without a limit, one to a machine that hangs takes over a minute
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})  # all that Milvus' strings need


class MilvusIndex(Asking):
    """One version on Milvus: `search.protocols.ProductIndex`. It lasts until the version after the next replaces it."""

    def __init__(self, client: MilvusClient, manifest: IndexManifest) -> None:
        self.manifest = manifest
        self._client = client
        (self._collection,) = manifest.segments

    def __contains__(self, id: str) -> bool:  # noqa: A002
        return bool(self.rows([id], ["id"]))

    def search_many(
        self, vectors: Vectors, categories: Sequence[str | None], top: int = 10, filters: Filters = EVERYTHING
    ) -> list[list[Hit]]:
        """`search` for several vectors: one request for all of a category."""
        self.check_query(vectors, categories, top)
        hits: list[list[Hit]] = [[] for _ in categories]
        for category in dict.fromkeys(categories):
            places = [place for place, name in enumerate(categories) if name == category]
            rule = " and ".join([alive(self.manifest.state), *_rules(filters)])
            for place, found in zip(places, self._search(vectors[places], category, top, rule), strict=True):
                products = to_products([hit["entity"] for hit in found])
                hits[place] = [Hit(product, hit["distance"]) for product, hit in zip(products, found, strict=True)]
        return hits

    def products(self, ids: Sequence[str]) -> list[Product]:
        """Those of the products that are in the index."""
        return to_products(self.rows(ids, PRODUCTS.names))

    def product(self, id: str) -> Product:  # noqa: A002
        """The product of that id. Raises `NotFoundError`."""
        return to_products([self._row(id, PRODUCTS.names)])[0]

    def thumbnail(self, id: str) -> bytes:  # noqa: A002
        """JPEG preview of a product. Raises `NotFoundError`."""
        return base64.b64decode(self._row(id, ["thumbnail"])["thumbnail"])

    def vector(self, id: str) -> Vectors:  # noqa: A002
        """Unit vector of a product, shape (d,). Raises `NotFoundError`."""
        vector: Vectors = self.vectors_of([id])[0]
        return vector

    def vectors_of(self, ids: Sequence[str]) -> Vectors:
        """Unit vectors of several products, shape (n, d), by one request. Raises `NotFoundError`."""
        found = {row["id"]: row["vector"] for row in self.rows(ids, ["id", "vector"])}
        if missing := [id for id in ids if id not in found]:  # noqa: A001
            raise NotFoundError(f"no product {missing[0]!r} in this index")
        return np.array([found[id] for id in ids], np.float32).reshape(len(ids), self.manifest.dim)  # noqa: A001

    def rank(self, vector: Vectors, id: str) -> int:  # noqa: A002
        """Place among all of its category; beyond the 16,384 that Milvus lists, 16,385. Raises `NotFoundError`."""
        category = self._row(id, ["category"])["category"]
        hits = self.search(vector, category, _MOST)
        return next((place for place, hit in enumerate(hits, 1) if hit.product.id == id), _MOST + 1)

    def _search(self, vectors: Vectors, category: str | None, top: int, rule: str) -> list[list[dict[str, Any]]]:
        with reaching():
            found = self._client.search(
                self._collection,
                [np.asarray(vector, np.float32) for vector in vectors],
                filter=rule,
                limit=min(top, _MOST),
                output_fields=PRODUCTS.names,
                search_params={"metric_type": "IP", "params": {"nprobe": self.manifest.probes}},
                partition_names=[category] if category else None,
                timeout=SECONDS,
            )
        return [sorted(hits, key=lambda hit: -hit["distance"]) for hits in found]

    def read(self, products: Collection[str], pictures: Collection[str]) -> Iterator[Rows]:
        """Stream every product but those of these ids or thumbnails (sha256)."""
        with reaching():
            batches = self._client.query_iterator(
                self._collection,
                batch_size=_BATCH,
                filter=alive(self.manifest.state),
                output_fields=[*PRODUCTS.names, "thumbnail", "vector"],
            )
        while True:
            with reaching():
                found = batches.next()
            if not found:
                return
            if left := [row for row in found if row["id"] not in products and row["sha256"] not in pictures]:
                yield _packed(left)

    def rows(self, ids: Sequence[str], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Fields of those of the products that it holds."""
        if not ids:
            return []
        rule = f"{alive(self.manifest.state)} and {any_of('id', ids)}"
        with reaching():
            return list(self._client.query(self._collection, filter=rule, output_fields=list(fields), timeout=SECONDS))

    def _row(self, id: str, fields: Sequence[str]) -> dict[str, Any]:  # noqa: A002
        rows = self.rows([id], fields)
        if not rows:
            raise NotFoundError(f"no product {id!r} in this index")
        return rows[0]


@contextmanager
def reaching() -> Iterator[None]:
    """Turn what Milvus' client raises into `IndexMissingError`."""
    try:
        yield
    except (MilvusException, grpc.RpcError) as error:
        raise IndexMissingError(f"Milvus: {getattr(error, 'message', error)}") from error


def alive(state: int) -> str:
    """Rule for the rows that a version sees."""
    return f"born <= {state} and died > {state}"


def any_of(field: str, values: Sequence[str]) -> str:
    """Rule for rows in which a field has one of these values."""
    quoted = (f'"{value.translate(_ESCAPES)}"' for value in values)
    return f"{field} in [{', '.join(quoted)}]"


def _packed(rows: list[dict[str, Any]]) -> Rows:
    products = [{name: row[name] for name in PRODUCTS.names} for row in rows]
    thumbnails = pa.array([base64.b64decode(row["thumbnail"]) for row in rows], pa.large_binary())
    vectors = np.array([row["vector"] for row in rows], np.float32)
    return Rows(pa.RecordBatch.from_pylist(products, PRODUCTS), thumbnails, vectors)


def _rules(filters: Filters) -> list[str]:
    rules = [
        any_of(field, sorted(values))
        for field, values in (("brand", filters.brands), ("site", filters.sites))
        if values
    ]
    if filters.min_price is not None:
        rules.append(f"price >= {filters.min_price}")
    if filters.max_price is not None:
        rules.append(f"price <= {filters.max_price}")
    return rules
