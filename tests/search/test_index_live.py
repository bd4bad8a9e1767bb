"""Versions swapped in while queries run: every answer is whole from one version."""

import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from pymilvus import MilvusClient

from curation.tables import ShardedTable
from search.errors import IndexMissingError, VersionMismatchError
from search.index.live import AGAIN, LiveIndex
from search.index.milvus_store import MilvusStore
from search.index.stores import FolderStore
from search.protocols import IndexStore, ProductIndex
from tests.search.builders import BlockEncoder, product_rows, write_embeddings

VERSION = BlockEncoder.version
ROWS = product_rows()[:12]
ASKERS = 3


def _priced(folder: Path, price: int) -> ShardedTable:
    """The shop in which everything costs the same."""
    return write_embeddings(folder / str(price), [row | {"price": price} for row in ROWS], str(price))


@pytest.fixture(params=["folder", "milvus"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IndexStore]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "index")
        return
    client = MilvusClient(str(tmp_path / "milvus.db"))
    yield MilvusStore(client)
    client.close()


def test_get__swapped_under_load(store: IndexStore, tmp_path: Path) -> None:
    """One writer replaces every product again and again; readers must never see two prices at once."""
    tables = [_priced(tmp_path, price) for price in range(8)]
    store.build(tables[0], VERSION)
    live = LiveIndex(store, lambda _: None, store.open())
    query, done = np.float32(ROWS[0]["vector"]), Event()

    def ask() -> list[tuple[str, frozenset]]:
        seen = []
        while not done.is_set():
            index = live.get()
            hits = index.search(query, None, 99)
            near = index.neighbours("kream-3", 99)
            assert (len(hits), len(near)) == (12, 11)
            seen.append((index.version, frozenset(hit.product.price for hit in [*hits, *near])))
        return seen

    with ThreadPoolExecutor(ASKERS) as pool:
        askers = [pool.submit(ask) for _ in range(ASKERS)]
        try:
            made = {store.current(): 0}
            for turn, table in enumerate(tables[1:], 1):
                made[(store.build(table, VERSION) if turn % 3 == 0 else store.upsert(table)).version] = turn
            store.rollback()
        finally:
            done.set()
        answers = [answer for asker in askers for answer in asker.result()]
    assert {prices for _, prices in answers} <= {frozenset({price}) for price in range(8)}
    assert all(prices == {made[version]} for version, prices in answers)
    assert live.get().version == store.current()
    assert live.get().product("kream-0").price == 6


def test_get__refuses_what_does_not_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path / "index")
    first = store.build(_priced(tmp_path, 1), VERSION)

    def check(index: ProductIndex) -> None:
        if index.manifest.encoder_version != VERSION:
            raise VersionMismatchError(f"made by {index.manifest.encoder_version}")

    live = LiveIndex(store, check, store.open())
    foreign = [row | {"encoder_version": "other"} for row in ROWS]
    store.build(write_embeddings(tmp_path / "foreign", foreign, "foreign"), "other")
    with caplog.at_level(logging.ERROR):
        assert [live.get().version for _ in range(3)] == [first.version] * 3
        monkeypatch.setattr("search.index.live.monotonic", lambda: sys.float_info.max)
        assert live.get().version == first.version
    assert len(caplog.records) == 1  # said once, not once per query
    assert store.rollback() == first.version
    assert live.get().version == first.version


@pytest.mark.parametrize("error", [IndexMissingError("Milvus: connection reset"), PermissionError("manifest.json")])
def test_get__asks_again_after_a_failed_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Shaky(FolderStore):
        def open(self) -> ProductIndex:
            if away:
                raise error
            return super().open()

    store, now, away = Shaky(tmp_path / "index"), 100.0, False
    monkeypatch.setattr("search.index.live.monotonic", lambda: now)
    first = store.build(_priced(tmp_path, 1), VERSION)
    live = LiveIndex(store, lambda _: None, store.open())
    second, away = store.build(_priced(tmp_path, 2), VERSION), True
    with caplog.at_level(logging.ERROR):
        assert [live.get().version for _ in range(3)] == [first.version] * 3
    assert len(caplog.records) == 1  # neither asked nor said once per query
    away = False
    assert live.get().version == first.version
    now += AGAIN
    assert live.get().version == second.version


@pytest.mark.parametrize("error", [IndexMissingError("Milvus: connection refused"), OSError("stale file handle")])
def test_get__goes_on_when_the_store_is_away(tmp_path: Path, error: Exception) -> None:
    class Away(FolderStore):
        def current(self) -> str | None:
            raise error

    store = FolderStore(tmp_path / "index")
    made = store.build(_priced(tmp_path, 1), VERSION)
    assert LiveIndex(Away(tmp_path / "index"), lambda _: None, store.open()).get().version == made.version
