"""A product as the index knows it, what a query may ask of it, and rows of a table on their way in, checked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.tables import ShardedTable
from curation.taxonomy import CATEGORIES
from search.errors import BadRequestError, IndexBuildError

_UNIT_TOLERANCE: Final = 1e-3  # float32 rounding and bf16 normalisation stay well below
PRODUCTS: Final = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("brand", pa.string()),
        pa.field("price", pa.int64()),
        pa.field("url", pa.string()),
        pa.field("category", pa.string(), nullable=False),
        pa.field("image_url", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
"""Columns of `Product`."""
_IN_TABLE: Final = {"name": "product_name", "url": "product_url"}
_COPIED: Final = tuple(_IN_TABLE.get(name, name) for name in PRODUCTS.names if name != "id")  # in the order of PRODUCTS


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the catalog, as the shop shows it."""

    id: str  # <site>-<the site's own id>
    site: str
    product_id: str
    name: str | None
    brand: str | None
    price: int | None  # KRW
    url: str | None
    category: str
    image_url: str
    sha256: str  # of the original thumbnail


@dataclass(frozen=True, slots=True)
class Hit:
    """A product and how alike it is."""

    product: Product
    score: float  # cosine, -1 to 1


@dataclass(frozen=True, slots=True)
class Filters:
    """Rules that every hit must keep; a product without price keeps no rule on prices. Categories are not among them.

    Raises:
        BadRequestError: the least price is above the greatest.
    """

    brands: frozenset[str] = frozenset()  # any of these, as the shop writes them; empty allows all
    sites: frozenset[str] = frozenset()  # any of these; empty allows all
    min_price: int | None = None  # KRW, inclusive
    max_price: int | None = None  # KRW, inclusive

    def __post_init__(self) -> None:
        """Refuse a range that nothing can be in."""
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise BadRequestError(f"price: from {self.min_price} to {self.max_price} is no range")

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return self != EVERYTHING

    def mask(self, products: pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows of a table of `PRODUCTS` keep the rules, shape (n,)."""
        kept = np.ones(len(products), bool)
        for name, allowed in (("brand", self.brands), ("site", self.sites)):
            if allowed:
                kept &= np.asarray(pc.is_in(products[name], pa.array(sorted(allowed), pa.string())))
        if self.min_price is not None:
            kept &= np.asarray(pc.fill_null(pc.greater_equal(products["price"], self.min_price), False))
        if self.max_price is not None:
            kept &= np.asarray(pc.fill_null(pc.less_equal(products["price"], self.max_price), False))
        return kept


EVERYTHING: Final = Filters()


@dataclass(frozen=True, slots=True)
class Rows:
    """Some products with their thumbnails and vectors, all of one length."""

    products: pa.RecordBatch  # of PRODUCTS
    thumbnails: pa.Array  # JPEG, longest side 256 px
    vectors: npt.NDArray[np.float32]  # (n, d), unit length

    @property
    def ids(self) -> list[str]:
        """Ids of the products."""
        found: list[str] = self.products.column("id").to_pylist()
        return found

    def keep(self, mask: npt.NDArray[np.bool_]) -> "Rows":
        """Only the rows where the mask is true."""
        chosen = pa.array(mask)
        return Rows(self.products.filter(chosen), self.thumbnails.filter(chosen), self.vectors[mask])


def checked_rows(embeddings: ShardedTable, encoder_version: str, dim: int = 0) -> Iterator[Rows]:
    """Stream a table, every row checked.

    Args:
        embeddings: rows of `curation.schemas.EMBEDDINGS`.
        encoder_version: the version that every row must carry.
        dim: length that every vector must have; 0 takes it from the first.

    Raises:
        IndexBuildError: a row of another encoder, dimension or category; a vector that is not of unit length; a product
            without id or listed twice.
    """
    seen: set[str] = set()
    for batch in embeddings.batches([*_COPIED, "thumbnail", "vector", "encoder_version"]):
        if batch.num_rows:
            _check_origin(batch, encoder_version)
            ids = _ids(batch, seen)
            dim = dim or batch.column("vector").value_lengths()[0].as_py()
            columns = [pa.array(ids), *(batch.column(name) for name in _COPIED)]
            products = pa.RecordBatch.from_arrays(columns, schema=PRODUCTS)
            yield Rows(products, batch.column("thumbnail"), _matrix(batch, dim))


def new_rows(
    rows: Rows, known: Sequence[Product], vectors_of: Callable[[Sequence[str]], npt.NDArray[np.float32]]
) -> Rows:
    """Those rows that are not among the products that are `known`, or differ from what is known of them."""
    same = {product.id: product for product in known}
    products = to_products(rows.products.to_pylist())
    changed = np.array([product != same.get(product.id) for product in products])
    alike = np.flatnonzero(~changed)
    vectors = vectors_of([products[place].id for place in alike])
    changed[alike] = (vectors != rows.vectors[alike]).any(axis=1)
    return rows.keep(changed)


def to_products(rows: list[dict[str, Any]]) -> list[Product]:
    """Rows as a store gives them, as products; fields that no product has are left out."""
    return [Product(**{name: row[name] for name in PRODUCTS.names}) for row in rows]


def _check_origin(batch: pa.RecordBatch, encoder_version: str) -> None:
    versions = set(batch.column("encoder_version").to_pylist())
    if versions != {encoder_version}:
        raise IndexBuildError(f"encoder_version: every row must carry {encoder_version!r}, got {sorted(versions)}")
    unknown = set(batch.column("category").to_pylist()) - set(CATEGORIES)
    if unknown:
        raise IndexBuildError(f"category: must be one of {', '.join(CATEGORIES)}, got {sorted(unknown)}")


def _ids(batch: pa.RecordBatch, seen: set[str]) -> list[str]:
    ids = []
    for site, product in zip(batch.column("site").to_pylist(), batch.column("product_id").to_pylist(), strict=True):
        if not product:
            raise IndexBuildError(f"product_id: required, but a row of {site} has none")
        ids.append(f"{site}-{product}")
        if ids[-1] in seen:
            raise IndexBuildError(f"product_id: must be unique, but {ids[-1]} is listed twice")
        seen.add(ids[-1])
    return ids


def _matrix(batch: pa.RecordBatch, dim: int) -> npt.NDArray[np.float32]:
    column = batch.column("vector")
    lengths = set(column.value_lengths().to_pylist())
    if lengths != {dim}:
        raise IndexBuildError(f"vector: every row must have {dim} values, got rows of {sorted(lengths)}")
    values = column.flatten().to_numpy(zero_copy_only=False)
    matrix: npt.NDArray[np.float32] = values.astype(np.float32).reshape(-1, dim)
    norms = np.linalg.norm(matrix, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1) <= _UNIT_TOLERANCE))  # also true where the norm is not a number
    if len(bad):
        product = batch.column("product_id")[int(bad[0])].as_py()
        raise IndexBuildError(f"vector: must have length 1 ± {_UNIT_TOLERANCE}, {product} has {norms[bad[0]]:.4f}")
    return matrix
