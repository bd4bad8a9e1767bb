"""The server process in earnest: behind a proxy's prefix, and ended by a signal while queries are under way."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from search.answers import thumbnail_address
from search.app import create_app
from search.query import SearchService
from search.server import Draining, Server
from tests.search.builders import photo_of

SLOW = 1.5  # seconds that a pass of the models takes in the process that is ended
DRAIN = 1.0

PROGRAM = f"""
import sys, time
from pathlib import Path
from search.app import create_app
from search.index import Index
from search.query import SearchService
from search.server import Draining, serve
from tests.search.builders import BlockEncoder, FixedDetector

class Slow(FixedDetector):
    def detect(self, images, threshold):
        time.sleep({SLOW})
        return super().detect(images, threshold)

service = SearchService(Slow(), BlockEncoder(), Index.open(Path(sys.argv[1])))
draining = Draining()
serve(create_app(service, draining=draining), draining, "127.0.0.1", int(sys.argv[2]), {DRAIN})
"""


@pytest.fixture
def started(index_root: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(index_root), str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                if httpx.get(f"{address}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.1)
        yield address, process
    finally:
        process.kill()
        process.wait()


def test_serve__a_signal_ends_it_when_queries_are_done(started: tuple[str, subprocess.Popen]) -> None:
    address, process = started

    def ask() -> int:
        return httpx.post(f"{address}/api/search", files={"photo": photo_of(1, 2, 3)}, timeout=30).status_code

    with ThreadPoolExecutor(3) as pool:
        early = [pool.submit(ask) for _ in range(2)]
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        ready = httpx.get(f"{address}/readyz")
        assert (ready.status_code, ready.json()["error"]["name"]) == (503, "draining")
        assert httpx.get(f"{address}/healthz").status_code == 200
        late = pool.submit(ask)  # not ready, but still answering
        assert [future.result() for future in (*early, late)] == [200, 200, 200]
    assert process.wait(timeout=10) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/healthz")


def test_server__a_second_signal_ends_the_while() -> None:
    server = Server(uvicorn.Config(lambda: None), Draining(), seconds=60)
    server.handle_exit(signal.SIGTERM, None)
    with patch.object(uvicorn.Server, "on_tick", lambda self, _: asyncio.sleep(0, self.should_exit)):
        assert not asyncio.run(server.on_tick(1))
        server.handle_exit(signal.SIGTERM, None)
        assert asyncio.run(server.on_tick(2))


@pytest.mark.parametrize("prefix", ["", "/find"], ids=["stripped by the proxy", "left by the proxy"])
def test_create_app__below_a_prefix(service: SearchService, tmp_path: Path, prefix: str) -> None:
    (tmp_path / "a.jpg").write_bytes(photo_of(1, 2, 3))
    with TestClient(create_app(service, tmp_path, root_path="/find")) as client:
        found = client.post(f"{prefix}/api/search", files={"photo": photo_of(1, 2, 3)}).json()
        thumbnail = found["garments"][0]["hits"][0]["thumbnail"]
        assert thumbnail.startswith("/find/api/products/kream-1/thumbnail?v=")
        assert client.get(thumbnail.removeprefix("/find") if not prefix else thumbnail).status_code == 200
        assert client.get(f"{prefix}/api/examples").json() == {"examples": ["/find/api/examples/0"]}
        assert client.get(f"{prefix}/static/app.js").status_code == 200
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/find"}]
        slash = client.get(f"{prefix}/review/", follow_redirects=False)
        assert (slash.status_code, slash.headers["location"]) == (307, "../review")
        page = client.get(f"{prefix}/").text
        assert 'src="static/app.js"' in page
        assert '="/' not in page  # nothing that would leave the prefix


def test_create_app__a_slash_too_many_leads_nowhere(service: SearchService) -> None:
    with TestClient(create_app(service)) as client:
        for path in ("/api/catalog/", "/healthz/"):  # a redirect would leave a proxy by a scheme and host of its own
            assert client.get(path, follow_redirects=False).status_code == 404


def test_thumbnail_address__whatever_an_id_is() -> None:
    assert thumbnail_address("/find", "v1")("29cm-a/b?c#d") == "/find/api/products/29cm-a%2Fb%3Fc%23d/thumbnail?v=v1"
