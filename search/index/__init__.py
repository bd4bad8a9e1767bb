"""The index: one exact faiss partition per category, built aside, swapped in atomically, and rolled back by name."""

from search.index.build import build_index
from search.index.manifest import IndexManifest
from search.index.store import Hit, Index, Product
from search.index.versions import current_version, rollback

__all__ = ["Hit", "Index", "IndexManifest", "Product", "build_index", "current_version", "rollback"]
