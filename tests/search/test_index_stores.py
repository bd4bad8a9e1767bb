"""Which store an index is kept in."""

import sys
from pathlib import Path

import pytest

from search.errors import IndexMissingError
from search.index.stores import FolderStore, open_store
from search.query import SearchService
from tests.search.builders import BlockEncoder, FixedDetector, number_of, photo_of, product_rows, write_embeddings


def test_open_store__by_configuration(tmp_path: Path) -> None:
    assert open_store(tmp_path / "index") == FolderStore(tmp_path / "index")
    with pytest.raises(IndexMissingError, match="Milvus holds no index"):
        open_store(tmp_path / "index", str(tmp_path / "milvus.db")).open()


def test_open_store__client_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    for name in ("search.index.milvus", "search.index.milvus_collection", "search.index.milvus_store"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(IndexMissingError, match=r"pip install 'fashion-pairs\[milvus\]'"):
        open_store(tmp_path / "index", "http://127.0.0.1:19530")


def test_service__on_milvus(tmp_path: Path) -> None:
    """The service does not know which store it has: same answers, and a new version is taken up."""
    store = open_store(tmp_path / "index", str(tmp_path / "milvus.db"))
    store.build(write_embeddings(tmp_path / "rows", product_rows(5)), BlockEncoder.version)
    service = SearchService(FixedDetector(), BlockEncoder(), store.open(), store)
    answer = service.search(photo_of(3, 2, 1), top=2)
    assert [garment.hits[0].product.id for garment in answer.garments] == [
        f"kream-{number_of(*which)}" for which in (("top", 3), ("bottom", 2), ("shoes", 1))
    ]
    deleted = store.delete(["kream-3"])
    answer = service.search(photo_of(3, 2, 1), top=2)
    assert answer.index_version == deleted.version
    assert answer.garments[0].hits[0].product.id != "kream-3"
