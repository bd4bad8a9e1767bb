"""The review over HTTP: nothing without the token, pictures, verdicts."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from curation.images import decode
from curation.review import read_verdicts
from search.app import create_app
from search.errors import TokenError
from search.query import SearchService
from search.review import ReviewQueue
from tests.search.review.conftest import lose_pictures

TOKEN = "correct horse battery"
KNOWN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def client(service: SearchService, queue: ReviewQueue) -> Iterator[TestClient]:
    with TestClient(create_app(service, review=(queue, TOKEN))) as client:
        yield client


def _queue(client: TestClient, reviewer: str = "ann") -> dict:
    return client.get("/api/review/queue", params={"reviewer": reviewer}, headers=KNOWN).json()


def test_review__pictures_and_verdicts(client: TestClient, data: Path) -> None:
    asked = _queue(client)
    assert (asked["state"], len(asked["pairs"]), asked["progress"]["pairs"]) == ("ready", 5, 8)
    pair = asked["pairs"][0]
    sizes = {}
    for name in ("photo", "crop", "thumbnail"):
        shown = client.get(f"/api/review/pairs/{pair['id']}/{name}", headers=KNOWN)
        with Image.open(io.BytesIO(shown.content)) as image:
            sizes[name] = image.size
    assert sizes == {"photo": (240, 300), "crop": (29, 38), "thumbnail": (240, 300)}
    said = {"pair": pair["id"], "decision": "reject", "reviewer": " ann "}
    answer = client.post("/api/review/verdicts", json=said, headers=KNOWN)
    assert (answer.status_code, answer.json()["rejected"]) == (201, 1)
    (verdict,) = read_verdicts(data / "review" / "verdicts")
    assert (verdict.reviewer, verdict.decision) == ("ann", "reject")
    assert pair["id"] not in {other["id"] for other in _queue(client)["pairs"]}


def test_review__a_name_with_a_space_behind_it_is_the_same_reviewer(client: TestClient) -> None:
    held = _queue(client, "ann")["pairs"]
    assert _queue(client, "ann ")["pairs"] == held  # and none of them is kept from her


def test_review__a_pair_without_pictures_makes_room(client: TestClient, data: Path, queue: ReviewQueue) -> None:
    first, second, *_ = (pair["id"] for pair in _queue(client)["pairs"])
    lose_pictures(data, queue.pair(first).post_id)
    assert client.get(f"/api/review/pairs/{first}/crop", headers=KNOWN).status_code == 404
    assert client.get(f"/api/review/pairs/{second}/crop", headers=KNOWN).status_code == 200
    left = _queue(client)
    assert (left["pairs"][0]["id"], left["progress"]["pairs"]) == (second, 7)


def test_review__a_pair_with_a_damaged_picture_makes_room(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = (pair["id"] for pair in _queue(client)["pairs"])
    with monkeypatch.context() as patch:
        patch.setattr("search.review.pairs.decode", lambda _: decode(b"no picture"))
        response = client.get(f"/api/review/pairs/{first}/photo", headers=KNOWN)
    assert (response.status_code, response.json()["error"]["name"]) == (404, "not_found")
    assert _queue(client)["pairs"][0]["id"] == second


@pytest.mark.parametrize(
    "header",
    [{}, *({"authorization": text} for text in ("Bearer no", TOKEN, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}s"))],
)
def test_review__without_the_token(client: TestClient, header: dict[str, str]) -> None:
    pair = _queue(client)["pairs"][0]["id"]
    for response in (
        client.get("/api/review/queue", params={"reviewer": "ann"}, headers=header),
        client.get(f"/api/review/pairs/{pair}/photo", headers=header),
        client.post("/api/review/verdicts", json={}, headers=header),
    ):
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["name"] == "unauthorized"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"pair": "../../etc/passwd"}, 422),
        ({"pair": "0" * 16}, 404),
        ({"decision": "perhaps"}, 422),
        ({"category": "sock"}, 422),
        ({"reviewer": "  "}, 422),
        ({"more": 1}, 422),
    ],
)
def test_review__bad_verdict(client: TestClient, data: Path, changed: dict[str, object], status: int) -> None:
    said = {"pair": _queue(client)["pairs"][0]["id"], "decision": "accept", "reviewer": "ann"} | changed
    response = client.post("/api/review/verdicts", json=said, headers=KNOWN)
    assert response.status_code == status
    assert read_verdicts(data / "review" / "verdicts") == []


@pytest.mark.parametrize(("body", "status"), [(b"{", 422), (b"\xff", 400), (b"[" * 100_000, 400)])
def test_review__broken_json_as_the_document_says(client: TestClient, body: bytes, status: int) -> None:
    response = client.post("/api/review/verdicts", content=body, headers=KNOWN | {"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["name"]) == (status, "bad_request")
    assert str(status) in client.get("/openapi.json").json()["paths"]["/api/review/verdicts"]["post"]["responses"]


def test_review__off_without_a_token_and_refused_with_a_weak_one(service: SearchService, queue: ReviewQueue) -> None:
    with TestClient(create_app(service)) as client:
        assert client.get("/review").status_code == 404
        assert client.get("/static/review.html").status_code == 404
        assert client.get("/api/review/queue", params={"reviewer": "ann"}).status_code == 404
    with pytest.raises(TokenError, match="at least 16 characters, got 3"):
        create_app(service, review=(queue, "abc" + 20 * " "))
    for unheard in ("리뷰 토큰은 열여섯 글자 이상", "correct horse\nbattery"):
        with pytest.raises(TokenError, match="of ASCII only"):
            create_app(service, review=(queue, unheard))


def test_review__token_from_a_file(service: SearchService, queue: ReviewQueue) -> None:
    with TestClient(create_app(service, review=(queue, f"{TOKEN}\n"))) as client:
        assert client.get("/api/review/queue", params={"reviewer": "ann"}, headers=KNOWN).status_code == 200


def test_review__unknown_field(client: TestClient) -> None:
    answer = client.get("/api/review/queue", params={"reviewer": "ann", "cont": 1}, headers=KNOWN)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "cont: is no field of the address; did you mean count?"
