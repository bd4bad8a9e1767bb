"""The HTTP service: answers, limits, and what a hostile client gets."""

import asyncio
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from search.answers import similar_out
from search.app import create_app
from search.errors import IndexBuildError, IndexMissingError
from search.guard import MAX_BODY, Guard
from search.index import Index
from search.metrics import Metrics
from search.protocols import ProductIndex
from search.query import Answer, SearchService, Similar
from search.worker import Worker
from tests.search.builders import BOXES, BlockEncoder, FixedDetector, number_of, photo_of, plain_photo


@pytest.fixture
def client(service: SearchService, tmp_path: Path) -> Iterator[TestClient]:
    examples = tmp_path / "examples"
    examples.mkdir()
    (examples / "a.jpg").write_bytes(photo_of(1, 2, 3))
    (examples / "secret.txt").write_text("no")
    with TestClient(create_app(service, examples), raise_server_exceptions=False) as client:
        yield client


def _post(client: TestClient, photo: bytes, path: str = "/api/search", **fields: Any):
    return client.post(path, files={"photo": ("x.jpg", photo, "image/jpeg")}, data=fields)


def test_search__every_garment(client: TestClient) -> None:
    answer = _post(client, photo_of(3, 7, 11), top=2).json()
    assert (answer["width"], answer["height"]) == (300, 400)
    assert [garment["category"] for garment in answer["garments"]] == ["top", "bottom", "shoes"]
    assert {garment["source"] for garment in answer["garments"]} == {"detected"}
    first = answer["garments"][0]["hits"][0]
    assert (first["id"], first["name"], first["price"]) == ("kream-3", "Top No. 3", 13000)
    picture = client.get(first["thumbnail"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.headers["cache-control"] == "public, max-age=86400, immutable"  # then what was taken down is gone
    assert picture.content.startswith(b"\xff\xd8")
    head = client.head(first["thumbnail"])
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(picture.content)))


def test_search__box_and_category(client: TestClient) -> None:
    box = ",".join(map(str, BOXES["shoes"]))
    (garment,) = _post(client, photo_of(3, 7, 11), box=box, category="shoes", top=3).json()["garments"]
    assert garment["hits"][0]["id"] == f"kream-{number_of('shoes', 11)}"
    assert len(garment["hits"]) == 3


def test_detect__boxes_only(client: TestClient) -> None:
    answer = _post(client, photo_of(3, 7, 11), "/api/detect").json()
    assert [garment["box"] for garment in answer["garments"]] == [list(box) for box in BOXES.values()]
    assert all(garment["hits"] == [] for garment in answer["garments"])
    assert _post(client, plain_photo(), "/api/detect").json()["garments"] == []


@pytest.mark.parametrize(
    ("url", "shown"), [("https://shop.test/1", "https://shop.test/1"), ("javascript:alert(1)", None), (None, None)]
)
def test_similar_out__what_a_crawled_page_gave_is_a_link_only_to_the_web(
    index: Index, url: str | None, shown: str | None
) -> None:
    product = replace(index.product("kream-3"), url=url)
    assert similar_out(Similar(product, index.version, (), {})).product.url == shown


def test_similar__neighbours_of_a_product(client: TestClient) -> None:
    answer = client.get("/api/products/kream-25/similar", params={"top": 5}).json()
    assert answer["product"]["id"] == "kream-25"
    assert answer["index_version"] == client.get("/api/catalog").json()["index_version"]
    assert len(answer["hits"]) == 5
    assert {hit["category"] for hit in answer["hits"]} == {"bottom"}


@pytest.mark.parametrize("path", ["similar", "thumbnail"])
@pytest.mark.parametrize("name", ["nobody", "kream-%2e%2e%2f", "../../etc/passwd", "%00"])
def test_products__unknown(client: TestClient, path: str, name: str) -> None:
    response = client.get(f"/api/products/{name}/{path}")
    assert response.status_code == 404
    assert response.json()["error"]["name"] == "not_found"


def _png_bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        (b"", "empty"),
        (b"<html>gone</html>", "not_an_image"),
        (photo_of(0, 0, 0)[:2500], "truncated"),
        (_png_bomb(), "too_many_pixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (b"\xff\xd8\xff" + bytes(2000), "not_an_image|truncated"),
    ],
)
@pytest.mark.parametrize("path", ["/api/detect", "/api/search"])
def test_upload__bad_photo(client: TestClient, path: str, photo: bytes, reason: str) -> None:
    response = _post(client, photo, path)
    assert response.status_code == 422
    assert response.json()["error"]["name"] == "bad_photo"
    assert any(word in response.json()["error"]["message"] for word in reason.split("|"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"box": "1,2,3"}, "box: four numbers"),
        ({"box": "1,2,three,4"}, "box: four numbers"),
        ({"box": "nan,0,50,50"}, "box: four finite numbers"),
        ({"box": "900,900,950,950"}, "inside the photo of 300×400 px"),
        ({"category": "hat"}, "category: must be one of bottom, shoes, top, got 'hat'"),
        ({"top": 0}, "top: Input should be greater than or equal to 1, got '0'"),
        ({"top": 61}, "top: Input should be less than or equal to 60, got '61'"),
        ({"top": "many" * 99}, "top: Input should be a valid integer, unable to parse string as an integer, got 'many"),
    ],
)
def test_search__bad_field(client: TestClient, fields: dict[str, str | int], message: str) -> None:
    response = _post(client, photo_of(0, 0, 0), **fields)
    assert response.status_code == 422
    assert response.json()["error"]["name"] == "bad_request"
    assert message in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "fields", "message"),
    [
        ("", {"maxprice": 9}, "maxprice: is no field of the form; did you mean max_price?"),
        ("", {"color": "red"}, "color: is no field of the form; it has box, brand, category, max_price, min_price, "),
        ("?top=1", {}, "top: is no field of the address, but of the form"),
        ("?utm=x", {}, "utm: is no field of the address; it has none"),
    ],
)
def test_search__unknown_field(client: TestClient, query: str, fields: dict[str, Any], message: str) -> None:
    response = _post(client, photo_of(0, 0, 0), f"/api/search{query}", **fields)
    assert (response.status_code, response.json()["error"]["name"]) == (422, "bad_request")
    assert response.json()["error"]["message"].startswith(message)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/products/kream-25/similar?categry=shoes", 422),
        ("/api/products/kream-25/thumbnail?size=9", 422),
        ("/api/catalog?page=1", 422),
        ("/api/examples?page=1", 422),
        ("/api/products/kream-25/thumbnail?v=1", 200),
        ("/?page=1", 200),
        ("/static/app.js?v=2", 200),
        ("/healthz?from=probe", 200),
    ],
)
def test_routes__unknown_field(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_search__no_photo(client: TestClient) -> None:
    for response in (client.post("/api/search"), client.post("/api/search", data={"photo": "text"})):
        assert response.status_code == 422
        assert response.json()["error"]["message"].startswith("photo: ")
    assert response.json()["error"]["message"] == "photo: must be a file, got 'text'"


def test_upload__too_large(client: TestClient) -> None:
    response = _post(client, bytes(MAX_BODY + 1))
    assert response.status_code == 413
    assert response.json()["error"]["name"] == "too_large"


def test_upload__too_large_without_a_declared_length(client: TestClient) -> None:
    head = b'--cut\r\ncontent-disposition: form-data; name="photo"; filename="x.jpg"\r\n\r\n'
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield head
        for _ in range(2 * MAX_BODY // 2**16):
            sent += 2**16
            yield bytes(2**16)

    response = client.post("/api/search", content=body(), headers={"content-type": "multipart/form-data; boundary=cut"})
    assert response.status_code == 413
    assert response.json()["error"]["name"] == "too_large"


def test_upload__too_slow(service: SearchService) -> None:
    answered: list[dict] = []

    async def receive() -> dict:
        await asyncio.sleep(30)
        raise AssertionError("the body was waited for")

    async def send(message: dict) -> None:
        answered.append(message)

    headers = [(b"content-type", b"multipart/form-data; boundary=cut")]
    scope = {"type": "http", "method": "POST", "path": "/api/search", "headers": headers, "query_string": b""}
    app = Guard(create_app(service), Metrics(), seconds=0.05)
    asyncio.run(app(scope, receive, send))
    assert answered[0]["status"] == 408
    assert b"too_slow" in answered[1]["body"]


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", "application/json"])
def test_upload__broken_form(client: TestClient, content_type: str) -> None:
    response = client.post("/api/search", content=b"\x00\xff--", headers={"content-type": content_type})
    assert 400 <= response.status_code < 500
    assert set(response.json()["error"]) == {"name", "message"}


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [(RuntimeError, 500, "internal"), (IndexBuildError, 500, "internal"), (IndexMissingError, 503, "index_missing")],
)
def test_errors__say_nothing_internal(
    service: SearchService, caplog: pytest.LogCaptureFixture, error: type[Exception], status: int, name: str
) -> None:
    def fail(_: object) -> list[Answer]:
        raise error("secret path /srv/models")

    with TestClient(create_app(service, worker=Worker(fail))) as client:
        response = _post(client, photo_of(0, 0, 0), "/api/detect")
        assert f'search_requests_total{{route="/api/detect",status="{status}"}} 1' in client.get("/metrics").text
    assert (response.status_code, response.json()["error"]["name"]) == (status, name)
    assert "secret" not in response.text
    assert "secret" in caplog.text
    assert response.headers["x-content-type-options"] == "nosniff"


def test_examples__by_number_only(client: TestClient) -> None:
    assert client.get("/api/examples").json() == {"examples": ["/api/examples/0"]}
    assert client.get("/api/examples/0").content == photo_of(1, 2, 3)
    assert client.head("/api/examples/0").status_code == 200
    assert client.get("/api/examples/1").status_code == 404
    assert client.get("/api/examples/-1").status_code == 404
    assert client.get("/api/examples/secret.txt").status_code == 422


def test_page__is_served_with_strict_headers(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/static/app.js").headers["content-type"].startswith("text/javascript")
    for path in ("/static/..%2fapp.py", "/static/app.py", "/nothing"):
        assert client.get(path).status_code == 404
        assert client.get(path).headers["x-content-type-options"] == "nosniff"


def test_health__and_metrics(client: TestClient, service: SearchService) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["index_version"] == service.index.version
    assert client.get("/api/catalog").json()["products"] == 60
    _post(client, photo_of(0, 0, 0))
    _post(client, b"")
    text = client.get("/metrics").text
    assert 'search_requests_total{route="/api/search",status="200"} 1' in text
    assert 'search_requests_total{route="/api/search",status="422"} 1' in text
    assert 'search_step_seconds_total{step="embed"}' in text
    assert "search_index_products 60" in text
    assert "search_batches_total 1" in text
    assert 'search_request_seconds_bucket{le="+Inf",route="/api/search"} 2' in text
    assert 'search_request_seconds_count{route="/api/search"} 2' in text


def test_metrics__others_are_answered_while_an_index_is_read(index: Index) -> None:
    asked, answered = threading.Event(), threading.Event()
    in_time = []

    class Slow(SearchService):
        @property
        def index(self) -> ProductIndex:
            asked.set()
            in_time.append(answered.wait(5))
            return super().index

    app = create_app(Slow(FixedDetector(), BlockEncoder(), index))
    with TestClient(app) as client, ThreadPoolExecutor() as pool:
        metrics = pool.submit(client.get, "/metrics")
        assert asked.wait(5)
        assert client.get("/healthz").status_code == 200
        answered.set()
        assert "search_index_products 60" in metrics.result().text
    assert in_time == [True]


def test_openapi__describes_the_routes(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/detect", "/api/search", "/api/catalog"} <= set(paths)
    assert "429" in paths["/api/search"]["post"]["responses"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_price": 5, "max_price": 4}, "price: from 5 to 4 is no range"),
        ({"min_price": -1}, "min_price: "),
        ({"max_price": 10**30}, "max_price: "),
        ({"brand": ["x"] * 21}, "brand: "),
        ({"brand": ["x", "x" * 201]}, "brand.1: String should have at most 200 characters"),
        ({"site": "x" * 201}, "site.0: String should have at most 200 characters"),
    ],
)
def test_filters__bad(client: TestClient, fields: dict[str, Any], message: str) -> None:
    for response in (
        _post(client, photo_of(0, 0, 0), **fields),
        client.get("/api/products/kream-25/similar", params=fields),
    ):
        assert response.status_code == 422
        assert message in response.json()["error"]["message"]


def test_filters__brand_price_and_site(client: TestClient) -> None:
    rules = {"brand": ["Atelier"], "min_price": 15_000, "max_price": 25_000, "site": "kream"}
    tops = _post(client, photo_of(3, 7, 11), **rules).json()["garments"][0]["hits"]
    alike = client.get("/api/products/kream-5/similar", params=rules).json()["hits"]
    for hits in (tops, alike):
        assert hits
        assert {hit["brand"] for hit in hits} == {"Atelier"}
        assert all(15_000 <= hit["price"] <= 25_000 for hit in hits)
    assert _post(client, photo_of(3, 7, 11), site="elsewhere").json()["garments"][0]["hits"] == []


def test_busy__is_429_with_retry_after(service: SearchService) -> None:
    with TestClient(create_app(service, worker=Worker(service.answer_many, queue=0))) as client:
        response = _post(client, photo_of(0, 0, 0))
    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"
