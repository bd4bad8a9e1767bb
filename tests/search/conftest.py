"""Shared by the search tests: a small index, fake models and a running service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.app import create_app
from search.index import Index, build_index
from search.query import SearchService
from tests.search.browsing import CHROMIUM, visiting
from tests.search.builders import BlockEncoder, FixedDetector, photo_of, product_rows, write_embeddings
from tests.search.serving import serving


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


@pytest.fixture(scope="module")  # its event loop runs while it is open: no other module could use asyncio
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, service: SearchService, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "a.jpg").write_bytes(photo_of(1, 2, 3))
    with serving(create_app(service, tmp_path)) as address, visiting(browser, address) as page:
        yield page
