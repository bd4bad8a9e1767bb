"""Where an index is kept: in a folder of this machine, or in Milvus. Nothing else in the code knows which."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curation.tables import ShardedTable
from search.errors import IndexMissingError
from search.index.build import build_index, delete_products, upsert_products
from search.index.config import IndexConfig
from search.index.manifest import IndexManifest
from search.index.removal import remove_products
from search.index.store import Index
from search.index.versions import current_version, rollback, versions
from search.protocols import IndexStore


@dataclass(frozen=True)
class FolderStore:
    """An index below a folder: `search.protocols.IndexStore` without any server."""

    root: Path
    config: IndexConfig = field(default_factory=IndexConfig)

    def current(self) -> str | None:
        """Name of the version in use."""
        return current_version(self.root)

    def open(self) -> Index:
        """Open the version in use."""
        return Index.open(self.root)

    def versions(self) -> list[IndexManifest]:
        """Versions that can be returned to, oldest first."""
        return versions(self.root)

    def rollback(self) -> str:
        """Return to the version before."""
        return rollback(self.root)

    def build(
        self, embeddings: ShardedTable, encoder_version: str, preprocessing: Mapping[str, Any] | None = None
    ) -> IndexManifest:
        """Make a version of a whole catalog."""
        return build_index(embeddings, self.root, encoder_version, preprocessing, self.config)

    def upsert(self, embeddings: ShardedTable) -> IndexManifest:
        """Add or replace products."""
        return upsert_products(self.root, embeddings)

    def delete(self, ids: Sequence[str]) -> IndexManifest:
        """Leave products out."""
        return delete_products(self.root, ids)

    def remove(self, products: Collection[str], pictures: Collection[str]) -> dict[str, int]:
        """Take products out for good."""
        return remove_products(self.root, products, pictures)


def open_store(root: Path, milvus: str = "") -> IndexStore:
    """The store of an index.

    Args:
        root: folder of the embedded index; not used with Milvus.
        milvus: address of a Milvus server (`http://user:password@host:19530`) or file of Milvus Lite (`milvus.db`);
            empty for the embedded index.

    Raises:
        IndexMissingError: Milvus is asked for and cannot be reached, or its client is not installed.
    """
    if not milvus:
        return FolderStore(root)
    try:
        from search.index.milvus_store import MilvusStore
    except ModuleNotFoundError as error:
        raise IndexMissingError(f"milvus: {error}; install the extra: pip install 'fashion-pairs[milvus]'") from error
    return MilvusStore.connect(milvus)
