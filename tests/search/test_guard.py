"""What every request passes: how long a body may be, how many may be under way, and errors halfway."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.app import create_app
from search.errors import SearchError
from search.guard import Guard
from search.metrics import Metrics
from search.query import Answer, Query, SearchService
from search.worker import Worker
from tests.search.builders import photo_of


def _post(client: TestClient, photo: bytes) -> Response:
    return client.post("/api/search", files={"photo": photo})


def test_uploads__only_so_many_at_once(service: SearchService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.guard.MAX_UPLOADS", 1)
    asked, answered = threading.Event(), threading.Event()

    def slow(queries: Sequence[Query]) -> list[Answer | SearchError]:
        asked.set()
        assert answered.wait(5)
        return service.answer_many(queries)

    with TestClient(create_app(service, worker=Worker(slow))) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(_post, client, photo_of(0, 0, 0))
        assert asked.wait(5)
        second = _post(client, photo_of(0, 0, 0))
        assert client.get("/healthz").status_code == 200
        answered.set()
        assert first.result().status_code == 200
    assert (second.status_code, second.headers["retry-after"]) == (429, "1")


def test_uploads__a_slot_is_free_again_however_the_upload_ended(
    service: SearchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.guard.MAX_UPLOADS", 1)
    photos = (photo_of(0, 0, 0), b"no photo", photo_of(0, 0, 0))
    with TestClient(create_app(service)) as client:
        assert [_post(client, photo).status_code for photo in photos] == [200, 422, 200]


def _ask(app: ASGIApp, answered: list[Message], body: bytes = b"", **options: Any) -> None:
    """Ask a guarded app, and add what it answers to a list."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    asyncio.run(Guard(app, Metrics(), **options)(scope, receive, send))


@pytest.mark.parametrize(("length", "status"), [(8, 200), (9, 413)])
def test_upload__of_exactly_the_limit_is_taken(length: int, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    answered: list[Message] = []
    _ask(app, answered, bytes(length), max_body=8)
    assert answered[0]["status"] == status


def test_errors__an_answer_that_has_begun_is_not_begun_again() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("halfway")

    answered: list[Message] = []
    with pytest.raises(RuntimeError, match="halfway"):  # the server cuts the connection: a client sees a broken answer
        _ask(app, answered)
    assert [message["type"] for message in answered] == ["http.response.start"]
