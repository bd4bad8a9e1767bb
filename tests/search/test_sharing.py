"""The search for pages of other sites: allowed ones, others, and none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from benchmarks.serving import TOKEN
from search.app import create_app
from search.query import SearchService
from search.review import ReviewQueue
from tests.search.builders import photo_of

SHOP = "https://shop.example"
ALLOWED = "access-control-allow-origin"
POLICY = "cross-origin-resource-policy"


@pytest.fixture
def client(service: SearchService, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(service, root_path="/find", review=(ReviewQueue(tmp_path), TOKEN), origins=[SHOP])
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("prefix", ["", "/find"])
@pytest.mark.parametrize(("origin", "allowed"), [(SHOP, SHOP), ("https://other.example", None), (None, None)])
def test_sharing__a_search(client: TestClient, prefix: str, origin: str | None, allowed: str | None) -> None:
    headers = {"origin": origin} if origin else {}
    response = client.post(f"{prefix}/api/search", files={"photo": photo_of(1, 2, 3)}, headers=headers)
    assert (response.status_code, response.headers.get(ALLOWED)) == (200, allowed)
    assert "origin" in response.headers["vary"].lower()
    refused = client.post(f"{prefix}/api/search", files={"photo": b""}, headers=headers)
    assert (refused.status_code, refused.headers.get(ALLOWED)) == (422, allowed)


def test_sharing__a_refusal_before_the_routes_can_be_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.guard.MAX_UPLOADS", 0)
    response = client.post("/api/search", files={"photo": photo_of(1, 2, 3)}, headers={"origin": SHOP})
    assert (response.status_code, response.headers[ALLOWED]) == (429, SHOP)
    assert response.headers["access-control-expose-headers"] == "retry-after"


@pytest.mark.parametrize(("origin", "status"), [(SHOP, 200), ("https://other.example", 400)])
def test_sharing__asked_beforehand(client: TestClient, origin: str, status: int) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    assert client.options("/api/search", headers=asked).status_code == status
    assert client.options("/api/review/verdicts", headers=asked).status_code == 405


@pytest.mark.parametrize("path", ["/api/review/queue?reviewer=x", "/api/examples", "/", "/static/app.js"])
def test_sharing__everything_else_is_for_its_own_page(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"origin": SHOP, "authorization": f"Bearer {TOKEN}"})
    assert ALLOWED not in response.headers
    assert response.headers[POLICY] == "same-origin"


def test_sharing__pictures_show_on_other_pages_only_when_there_are_any(
    client: TestClient, service: SearchService
) -> None:
    assert client.get("/api/products/kream-1/thumbnail").headers[POLICY] == "cross-origin"
    with TestClient(create_app(service)) as alone:
        response = alone.get("/api/products/kream-1/thumbnail", headers={"origin": SHOP})
        assert response.headers[POLICY] == "same-origin"
        assert ALLOWED not in response.headers
