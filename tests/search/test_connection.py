"""Clients that never finish a head, never take an answer or do not wait for it are let go; others are not."""

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.responses import PlainTextResponse

from search.app import create_app
from search.errors import SearchError
from search.query import Answer, Query, SearchService
from search.worker import Worker
from tests.search.builders import photo_of
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


@pytest.mark.parametrize("requests", [1, 400])
def test_connection__answer_that_is_never_taken(
    service: SearchService, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    monkeypatch.setattr("search.connection.ANSWER_SECONDS", 1.0)
    app, length = create_app(service), 2**24
    app.get("/long")(lambda: PlainTextResponse("x" * length))
    with serving(app) as address, _connect(address) as idle, _connect(address) as other:
        for _ in range(2):  # the second on the same connection
            other.sendall(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n")
            assert _take(other, length) >= length
        idle.sendall(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n" * requests)
        time.sleep(2.5)
        with suppress(ConnectionResetError):
            assert _take(idle, length) < length


def test_connection__queries_of_clients_that_left_are_dropped(service: SearchService) -> None:
    passes: list[int] = []
    opened = threading.Event()

    def answer_many(queries: Sequence[Query]) -> Sequence[Answer | SearchError]:
        passes.append(len(queries))
        opened.wait(20)
        return service.answer_many(queries)

    def until(pending: int, begun: int) -> None:
        deadline = time.monotonic() + 10
        while (worker.pending, len(passes)) != (pending, begun):
            assert time.monotonic() < deadline, (worker.pending, passes)
            time.sleep(0.01)

    worker = Worker(answer_many)
    upload = httpx.Request("POST", "http://x/api/search", files={"photo": photo_of(1, 2, 3)})
    head = "".join(f"{name}: {value}\r\n" for name, value in upload.headers.items())
    sent = f"POST /api/search HTTP/1.1\r\n{head}\r\n".encode() + upload.read()
    with serving(create_app(service, worker=worker)) as address:
        try:
            with _connect(address) as first:
                first.sendall(sent)
                until(pending=1, begun=1)
                leaving = [_connect(address) for _ in range(5)]
                for connection in leaving:
                    connection.sendall(sent)
                until(pending=6, begun=1)
                for connection in leaving:
                    connection.close()
                until(pending=1, begun=1)
                opened.set()
                assert b"200 OK" in first.recv(4096)
        finally:
            opened.set()
        assert 'route="/api/search",status="499"} 5' in httpx.get(f"{address}/metrics").text
    assert passes == [1]


def _take(connection: socket.socket, length: int) -> int:
    """Read so many bytes or, where the connection ends before, what there is."""
    taken = 0
    while taken < length and (part := connection.recv(2**20)):
        taken += len(part)
    return taken


def test_connection__answer_that_was_taken_does_not_end_the_connection_later(
    service: SearchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.connection.ANSWER_SECONDS", 0.5)
    app, length = create_app(service), 2**24
    app.get("/long")(lambda: PlainTextResponse("x" * length))
    with serving(app) as address, _connect(address) as connection:
        for _ in range(2):  # the second when the first one's deadline is over
            connection.sendall(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n")
            assert _take(connection, length) >= length
            time.sleep(0.7)
