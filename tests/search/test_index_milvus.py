"""What only an index on Milvus has to mind: what it leaves behind there, and a server that does not answer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from pymilvus import MilvusClient

from curation.tables import ShardedTable
from search.errors import IndexMissingError
from search.index.milvus_store import MilvusStore
from tests.search.builders import BlockEncoder, product_rows, write_embeddings

VERSION = BlockEncoder.version
ROWS = product_rows(3)
SERVER = """
import sys, threading
from milvus_lite.adapter.grpc.server import start_server_in_thread
server, _, port = start_server_in_thread(data_dir=sys.argv[1], host="127.0.0.1", port=0)
print(port, flush=True)
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    client = MilvusClient(str(tmp_path_factory.mktemp("milvus") / "milvus.db"))
    yield client
    client.close()


@pytest.fixture
def priced(tmp_path: Path) -> Callable[[int], ShardedTable]:
    """The shop in which everything costs the same."""
    return lambda price: write_embeddings(tmp_path / str(price), [row | {"price": price} for row in ROWS], str(price))


def _kept(client: MilvusClient, name: str) -> tuple[set[str], set[str]]:
    """Collections and documents of a store."""
    collections = {kept for kept in client.list_collections() if kept.startswith(f"{name}_")}
    documents = client.query(f"{name}_versions", filter='key != ""', output_fields=["key"])
    return collections, {row["key"] for row in documents}


def test_update__leaves_no_collection_behind(client: MilvusClient, priced: Callable, tmp_path: Path) -> None:
    store = MilvusStore(client, "swept")
    store.build(priced(1), VERSION)
    store.upsert(priced(2))  # its state is above those of the next collection
    built = store.build(priced(3), VERSION)
    changed = store.upsert(priced(4))
    assert _kept(client, "swept") == (
        {"swept_versions", *built.segments},
        {"pointer", built.version, changed.version},
    )
    assert store.rollback() == built.version


def test_build__sweeps_what_a_killed_one_left_and_nothing_else(client: MilvusClient, priced: Callable) -> None:
    store, other = MilvusStore(client, "killed"), MilvusStore(client, "killed_too")
    kept = other.build(priced(1), VERSION)
    with (
        patch("search.index.milvus_store.measured", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        store.build(priced(1), VERSION)
    built = store.build(priced(2), VERSION)
    assert _kept(client, "killed")[0] == {*built.segments, "killed_versions", *kept.segments, "killed_too_versions"}


def test_build__replaces_a_version_of_another_format(client: MilvusClient, priced: Callable) -> None:
    store = MilvusStore(client, "aged")
    first, second = (store.build(priced(price), VERSION) for price in (1, 2))
    for made in (first, second):
        store._put(made.version, made.model_dump(mode="json") | {"format": 1})
    with pytest.raises(IndexMissingError, match=f"version {second.version} is not of format 2"):
        store.open()
    with pytest.raises(IndexMissingError, match=f"version {first.version} is not of format 2"):
        store.rollback()
    assert (store.versions(), store.current()) == ([], second.version)
    third = store.build(priced(3), VERSION)
    assert [made.version for made in store.versions()] == [third.version]
    assert _kept(client, "aged")[0] == {"aged_versions", *third.segments}


def test_build__again_after_somebody_dropped_it(client: MilvusClient, priced: Callable) -> None:
    store = MilvusStore(client, "dropped")
    made = store.build(priced(1), VERSION)
    client.drop_collection(made.segments[0])
    assert store.build(priced(1), VERSION).version == made.version == store.current()
    assert len(store.open().search(ROWS[0]["vector"], "top")) == 3


def test_upsert__asks_once_for_what_is_there(client: MilvusClient, priced: Callable) -> None:
    store = MilvusStore(client, "same")
    made = store.build(priced(1), VERSION)
    with patch.object(client, "query", wraps=client.query) as query:
        assert store.upsert(priced(1)) == made
    assert query.call_count == 2 * len(priced(1).shards)  # products, and vectors of those that are the same


def test_search__server_that_hangs(priced: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", SERVER, str(tmp_path / "milvus.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            store = MilvusStore.connect(f"http://127.0.0.1:{int(server.stdout.readline())}")
            store.build(priced(1), VERSION)
            index = store.open()
            monkeypatch.setattr("search.index.milvus.SECONDS", 0.5)
            server.send_signal(signal.SIGSTOP)
            os.waitpid(server.pid, os.WUNTRACED)  # all of its threads have stopped
            start = time.monotonic()
            for ask in (lambda: index.search(ROWS[0]["vector"], "top"), lambda: index.product("kream-0")):
                with pytest.raises(IndexMissingError, match="Milvus: "):
                    ask()
            assert time.monotonic() - start < 15  # by itself the client goes on for over a minute
        finally:
            server.kill()
