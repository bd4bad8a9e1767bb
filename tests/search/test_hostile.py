"""Hostile requests are refused with a reason, never with a 5xx; the OpenAPI document says what really comes back.

`benchmarks.hostile` sends the whole lot to a real server.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import InvalidURL

from benchmarks.hostile import document_requests, hostile_requests
from benchmarks.serving import TOKEN
from search.app import create_app
from search.query import SearchService
from search.review import ReviewQueue
from tests.search.builders import photo_of


@pytest.fixture
def app(service: SearchService, tmp_path: Path) -> FastAPI:
    (tmp_path / "a.jpg").write_bytes(photo_of(1, 2, 3))
    return create_app(service, tmp_path, review=(ReviewQueue(tmp_path), TOKEN))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


# Starlette leaves the (in-memory) file of a form that breaks off to the garbage collector.
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_hostile__uploads_and_requests(client: TestClient) -> None:
    statuses: Counter[int] = Counter()
    for request in hostile_requests(250):
        try:
            response = client.request(**request)
        except InvalidURL:
            continue
        statuses[response.status_code] += 1
        assert response.status_code < 500, request
        assert response.headers["x-content-type-options"] == "nosniff"
        if response.status_code >= 400 and request["method"] != "HEAD":
            assert set(response.json()["error"]) == {"name", "message"}
    assert statuses[422] > 80
    assert statuses[200] > 10
    assert client.get("/readyz").status_code == 200


def test_hostile__the_document_keeps_its_word(app: FastAPI, client: TestClient) -> None:
    from schemathesis import openapi
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    names = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
    checks = CHECKS.get_by_names(names)
    seen: Counter[str] = Counter()

    def visit(case: Any) -> None:
        case.call_and_validate(checks=checks, headers={"authorization": f"Bearer {TOKEN}"})
        seen[case.operation.path] += 1

    document_requests(openapi.from_asgi("/openapi.json", app), 4, visit)
    assert {"/api/search", "/api/detect", "/api/review/verdicts", "/metrics"} <= set(seen)
