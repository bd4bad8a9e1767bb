"""Shared by the search tests: a small index, fake models and a running service."""

from pathlib import Path

import pytest

from search.index import Index, build_index
from search.query import SearchService
from tests.search.builders import BlockEncoder, FixedDetector, product_rows, write_embeddings


@pytest.fixture(scope="session")
def index_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    build_index(write_embeddings(folder / "embeddings", product_rows()), folder / "index", BlockEncoder.version)
    return folder / "index"


@pytest.fixture
def index(index_root: Path) -> Index:
    return Index.open(index_root)


@pytest.fixture
def service(index: Index) -> SearchService:
    return SearchService(FixedDetector(), BlockEncoder(), index)
