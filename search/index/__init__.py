"""The index: a partition per category, built aside, swapped in atomically, updated by product id, and rolled back."""

from search.index.build import build_index, delete_products, upsert_products
from search.index.config import IndexConfig
from search.index.manifest import IndexManifest
from search.index.products import EVERYTHING, Filters, Hit, Product
from search.index.store import Index
from search.index.versions import current_version, rollback

__all__ = [
    "EVERYTHING",
    "Filters",
    "Hit",
    "Index",
    "IndexConfig",
    "IndexManifest",
    "Product",
    "build_index",
    "current_version",
    "delete_products",
    "rollback",
    "upsert_products",
]
