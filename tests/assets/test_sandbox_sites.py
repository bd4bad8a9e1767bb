"""The sandbox as a site to crawl: what another try cannot help is not tried again."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from assets.resources import SandboxSites


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which another program answers: with 501 to whatever it is asked."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_crawler_options__port_of_another_program(taken_port: int) -> None:
    sites = SandboxSites(name="world", seed=1, posts=40, port=taken_port, block_size=100)
    with pytest.raises(dg.Failure, match="in use by another program") as raised, sites.crawler_options("kream"):
        pass
    assert raised.value.allow_retries is False
