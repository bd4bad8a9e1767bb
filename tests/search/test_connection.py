"""Clients that never finish the head of a request are let go; others are not."""

import socket
import time
from urllib.parse import urlsplit

import pytest

from search.app import create_app
from search.query import SearchService
from tests.search.serving import serving


def _connect(address: str) -> socket.socket:
    where = urlsplit(address)
    assert where.hostname
    assert where.port
    return socket.create_connection((where.hostname, where.port), timeout=10)


def test_connection__endless_head_is_closed(service: SearchService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.connection.HEAD_SECONDS", 0.3)
    with serving(create_app(service)) as address, _connect(address) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        with _connect(address) as fast:
            for _ in range(2):  # the second on the same connection
                fast.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                time.sleep(0.2)
                assert b"200 OK" in fast.recv(4096)
            fast.sendall(b"GET /healthz HTTP/1.1\r\n")
            assert fast.recv(4096) == b""
        assert slow.recv(4096) == b""
