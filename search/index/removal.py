"""Products out of an index for good: a version without them is swapped in, and those with them are deleted."""

from collections.abc import Collection
from pathlib import Path

import pyarrow.parquet as pq

from curation.tables import ShardedTable
from search.index.build import build_index
from search.index.manifest import PRODUCTS, read_manifest
from search.index.versions import VERSIONS, current_version, forget, version_folder


def remove_products(
    root: Path, embeddings: ShardedTable, products: Collection[str], pictures: Collection[str]
) -> dict[str, int]:
    """Delete every version that holds one of them; where that was the version in use, a new one takes its place first.

    A service that has a deleted version open keeps answering from memory: restart it.

    Args:
        root: folder of the index.
        embeddings: the catalog's embeddings, already without these products.
        products: ids as in the index, `<site>-<the site's own id>`.
        pictures: sha256 of thumbnails.

    Returns:
        Version that was deleted → how many of the products it held.

    Raises:
        IndexBuildError: the embeddings do not make an index. Nothing is deleted then.
    """
    holding = {name: count for name in _versions(root) if (count := _held(root, name, products, pictures))}
    used = current_version(root)
    if used in holding:
        build_index(embeddings, root, read_manifest(version_folder(root, used)).encoder_version)
    for name in holding:
        forget(root, name)
    return holding


def _versions(root: Path) -> list[str]:
    folder = root / VERSIONS
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def _held(root: Path, version: str, products: Collection[str], pictures: Collection[str]) -> int:
    rows = pq.read_table(version_folder(root, version) / PRODUCTS, columns=["id", "sha256"]).to_pylist()
    return sum(row["id"] in products or row["sha256"] in pictures for row in rows)
