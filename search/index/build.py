"""Build an index from the catalog's embeddings: check every row, write aside, measure recall, swap in."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from curation.tables import ShardedTable, fingerprint, write_json
from curation.taxonomy import CATEGORIES
from search.errors import IndexBuildError
from search.index.manifest import FORMAT, MANIFEST, PARTITIONS, PRODUCTS, THUMBNAILS, IndexManifest, read_manifest
from search.index.recall import recall_at_10
from search.index.versions import activate, version_folder

PROMISED_RECALL: Final = 0.99
"""An index that finds less of the exact top ten is refused."""

_UNIT_TOLERANCE: Final = 1e-3  # float32 rounding and bf16 normalisation stay well below
_COPIED: Final = ("site", "product_id", "product_name", "brand", "price", "product_url", "category", "image_url")
_PRODUCTS: Final = pa.schema(
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
_THUMBNAILS: Final = pa.schema([pa.field("thumbnail", pa.large_binary(), nullable=False)])


@dataclass
class _Vectors:
    """Vectors and row numbers, gathered per category while the table streams by."""

    encoder_version: str
    dim: int = 0
    ids: set[str] = field(default_factory=set)
    chunks: dict[str, list[npt.NDArray[np.float32]]] = field(default_factory=dict)
    rows: dict[str, list[npt.NDArray[np.int64]]] = field(default_factory=dict)


def build_index(embeddings: ShardedTable, out: Path, encoder_version: str) -> IndexManifest:
    """Build a new version of the index below `out` and point `out/current` to it.

    The new version replaces the old in one rename, and only when it passed its checks; the old one stays for
    `rollback`. Nothing is built when the same version is in place already.

    Args:
        embeddings: rows of `curation.schemas.EMBEDDINGS`.
        out: folder of the index.
        encoder_version: the version that every row must carry.

    Raises:
        IndexBuildError: no row; a row of another encoder, dimension or category; a vector that is not of unit length;
            a product without id or listed twice; or recall under `PROMISED_RECALL`.
    """
    version = fingerprint([FORMAT, encoder_version, embeddings.fingerprint])
    folder = version_folder(out, version)
    if not folder.is_dir():
        _build_aside(embeddings, folder, encoder_version)
    manifest = read_manifest(folder)
    activate(out, version)
    return manifest


def _build_aside(embeddings: ShardedTable, folder: Path, encoder_version: str) -> None:
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    (temporary / PARTITIONS).mkdir(parents=True)
    try:
        vectors = _write_products(embeddings, temporary, encoder_version)
        recall = _write_partitions(vectors, temporary)
        counts = {category: sum(map(len, vectors.rows[category])) for category in recall}
        manifest = IndexManifest(
            version=folder.name,
            data_fingerprint=embeddings.fingerprint,
            encoder_version=encoder_version,
            dim=vectors.dim,
            rows=len(vectors.ids),
            counts=counts,
            recall_at_10=recall,
            created_at=datetime.now(UTC),
        )
        write_json(temporary / MANIFEST, manifest.model_dump(mode="json"))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_products(embeddings: ShardedTable, folder: Path, encoder_version: str) -> _Vectors:
    vectors = _Vectors(encoder_version)
    with ExitStack() as stack:
        products = stack.enter_context(pq.ParquetWriter(folder / PRODUCTS, _PRODUCTS, compression="zstd"))
        thumbnails = stack.enter_context(pa.ipc.new_file(folder / THUMBNAILS, _THUMBNAILS))
        for batch in _filled(embeddings.batches([*_COPIED, "sha256", "thumbnail", "vector", "encoder_version"])):
            ids = _check(batch, vectors)
            _gather(batch, vectors, first=len(vectors.ids))
            vectors.ids.update(ids)
            columns = [pa.array(ids), *(batch.column(name) for name in (*_COPIED, "sha256"))]
            products.write_batch(pa.RecordBatch.from_arrays(columns, schema=_PRODUCTS))
            thumbnails.write_batch(pa.RecordBatch.from_arrays([batch.column("thumbnail")], schema=_THUMBNAILS))
    if not vectors.ids:
        raise IndexBuildError(f"{embeddings.root} has no rows: there is nothing to search")
    return vectors


def _filled(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return (batch for batch in batches if batch.num_rows)


def _check(batch: pa.RecordBatch, seen: _Vectors) -> list[str]:
    """Refuse a batch with a bad row; give the product ids of a good one."""
    versions = set(batch.column("encoder_version").to_pylist())
    if versions != {seen.encoder_version}:
        raise IndexBuildError(f"encoder_version: every row must carry {seen.encoder_version!r}, got {sorted(versions)}")
    unknown = set(batch.column("category").to_pylist()) - set(CATEGORIES)
    if unknown:
        raise IndexBuildError(f"category: must be one of {', '.join(CATEGORIES)}, got {sorted(unknown)}")
    ids = []
    for site, product in zip(batch.column("site").to_pylist(), batch.column("product_id").to_pylist(), strict=True):
        if not product:
            raise IndexBuildError(f"product_id: required, but a row of {site} has none")
        ids.append(f"{site}-{product}")
    twice = [id for at, id in enumerate(ids) if id in seen.ids or id in ids[:at]]  # noqa: A001
    if twice:
        raise IndexBuildError(f"product_id: must be unique, but {twice[0]} is listed twice")
    return ids


def _gather(batch: pa.RecordBatch, vectors: _Vectors, first: int) -> None:
    column = batch.column("vector")
    lengths = set(column.value_lengths().to_pylist())
    vectors.dim = vectors.dim or column.value_lengths()[0].as_py()
    if lengths != {vectors.dim}:
        raise IndexBuildError(f"vector: every row must have {vectors.dim} values, got rows of {sorted(lengths)}")
    matrix = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, vectors.dim)
    norms = np.linalg.norm(matrix, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1) <= _UNIT_TOLERANCE))  # also true where the norm is not a number
    if len(bad):
        product = batch.column("product_id")[int(bad[0])].as_py()
        raise IndexBuildError(f"vector: must have length 1 ± {_UNIT_TOLERANCE}, {product} has {norms[bad[0]]:.4f}")
    categories = np.asarray(batch.column("category").to_pylist())
    for category in np.unique(categories).tolist():
        inside = np.flatnonzero(categories == category)
        vectors.chunks.setdefault(category, []).append(matrix[inside])
        vectors.rows.setdefault(category, []).append(inside + first)


def _write_partitions(vectors: _Vectors, folder: Path) -> dict[str, float]:
    """Write one flat inner-product index per category; give its recall as measured on the written file."""
    recall = {}
    for category in sorted(vectors.chunks):
        matrix, rows = np.concatenate(vectors.chunks[category]), np.concatenate(vectors.rows[category])
        partition = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.dim))
        partition.add_with_ids(matrix, rows)
        path = str(folder / PARTITIONS / f"{category}.faiss")
        faiss.write_index(partition, path)
        recall[category] = recall_at_10(faiss.read_index(path), matrix, rows)
        if recall[category] < PROMISED_RECALL:
            raise IndexBuildError(f"{category}: recall@10 must be at least {PROMISED_RECALL}, got {recall[category]}")
    return recall
