"""The sites: pages as the retailers make them, image sizes by query, faults on request."""

import io
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from PIL import Image
from starlette.testclient import TestClient

from sandbox.sites.addresses import Addresses, PictureKey
from sandbox.sites.devalue import Tagged, stringify
from sandbox.sites.faults import Faults
from sandbox.sites.kream import KreamSite
from sandbox.sites.onthelook import OnTheLookSite
from sandbox.sites.pictures import PictureServer, Size, media_type, resized
from sandbox.sites.server import ServeOptions, serving
from tests.sandbox.tiny import HTML, TinyProduct, picture, tiny_world, troubled_world


@pytest.fixture
def kream() -> Iterator[TestClient]:
    world = troubled_world()
    with TestClient(KreamSite(world, PictureServer(world)).build()) as client:
        yield client


@pytest.fixture
def onthelook() -> Iterator[TestClient]:
    world = troubled_world()
    with TestClient(OnTheLookSite(world, PictureServer(world)).build()) as client:
        yield client


def image_paths(html: str) -> list[str]:
    return [part.split('"')[0] for part in html.split('<img class="image" src="')[1:]]


def test_kream_post__has_dom_and_nuxt_data(kream: TestClient) -> None:
    html = kream.get("/social/posts/1").text
    assert 'class="social_post_detail" id="p1"' in html
    assert html.count('class="product_item"') == 2
    data = json.loads(html.split('id="__NUXT_DATA__">')[1].split("</script>")[0])
    assert isinstance(data, list)
    assert "social_post" in json.dumps(data)


def test_kream_post__escapes_names(kream: TestClient) -> None:
    html = kream.get("/social/posts/1").text
    assert "Item <" not in html
    assert "Item &lt;" in html
    assert "Item \\u003C" in html


@pytest.mark.parametrize("path", ["/social/posts/2", "/social/posts/999", "/products/999", "/images/x.jpg", "/nothing"])
def test_kream__missing_is_404(kream: TestClient, path: str) -> None:
    assert kream.get(path).status_code == 404


def test_kream_image__query_selects_size(kream: TestClient) -> None:
    path = image_paths(kream.get("/social/posts/1").text)[-1]
    address = path.split("?")[0]
    original = Image.open(io.BytesIO(kream.get(address).content))
    small = kream.get(f"{address}?type=s_webp")
    assert original.size == (240, 240)
    assert Image.open(io.BytesIO(small.content)).size == (90, 90)
    assert small.headers["content-type"] == "image/webp"


def test_kream_image__of_deleted_post_is_404() -> None:
    world = troubled_world()
    path = Addresses(world.seed).path(PictureKey("kream", "photo", 2, 0))
    with TestClient(KreamSite(world, PictureServer(world)).build()) as client:
        assert client.get(path).status_code == 404


def test_kream_image__broken_bytes_come_as_they_are(kream: TestClient) -> None:
    expected = {5: "image/jpeg", 6: "image/jpeg", 7: "text/html; charset=utf-8", 8: "image/png"}
    for post_id, kind in expected.items():
        path = image_paths(kream.get(f"/social/posts/{post_id}").text)[0]
        answer = kream.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind


def test_kream_image__missing_thumbnail_is_404(kream: TestClient) -> None:
    path = image_paths(kream.get("/social/posts/9").text)[-1]
    assert kream.get(path).status_code == 404


def test_kream_search__first_cards_in_html_the_rest_by_json() -> None:
    world = tiny_world()
    world.products = {n: TinyProduct(n, "bag", 9, f"Bag {n}") for n in range(1, 131)}
    with TestClient(KreamSite(world, PictureServer(world)).build()) as client:
        html = client.get("/search?shop_category_id=9&page=1").text
        first = html.count('class="product_card"')
        more, cursor = 0, 0
        while cursor is not None:
            answer = client.get(f"/api/screens/search/products?shop_category_id=9&page=1&cursor={cursor}").json()
            more, cursor = more + len(answer["cards"]), answer["next_cursor"]
        assert (first, first + more) == (20, 100)
        assert client.get("/search?shop_category_id=9&page=2").text.count('class="product_card"') == 20
        assert client.get("/search?shop_category_id=9&page=3").text.count('class="product_card"') == 0


@pytest.mark.parametrize("query", ["", "shop_category_id=abc", "shop_category_id=9&page=-4", "page=99999999999"])
def test_kream_search__strange_query_lists_nothing_or_first_page(kream: TestClient, query: str) -> None:
    assert kream.get(f"/search?{query}").status_code == 200


def test_onthelook_post__is_empty_without_javascript(onthelook: TestClient) -> None:
    html = onthelook.get("/post/1").text
    assert '<div id="root"></div>' in html
    assert "post-image" not in html
    assert onthelook.get("/post/2").status_code == 404


def test_onthelook_api__names_products_by_its_own_ids(onthelook: TestClient) -> None:
    answer = onthelook.get("/api/posts/1").json()
    assert [item["id"] for item in answer["products"]] == ["p000002", "p000005"]
    assert onthelook.get(f"{answer['images'][0]}?w=30&q=60&f=webp").headers["content-type"] == "image/webp"
    assert onthelook.get("/api/posts/2").status_code == 404


def test_sandbox__tells_what_is_served_and_counts(kream: TestClient) -> None:
    kream.get("/social/posts/1")
    about = kream.get("/__sandbox").json()
    assert about["seed"] == 7
    assert about["posts"] == 20
    assert about["photos"] is None
    assert about["hits"]["post"] == 1


def test_robots__disallows_what_pages_load(kream: TestClient) -> None:
    assert "Disallow: /bridge" in kream.get("/robots.txt").text
    assert "/bridge/pixel.gif" in kream.get("/social/posts/1").text


def test_addresses__round_trip_and_refuse_forgery() -> None:
    addresses = Addresses(3)
    keys = [
        PictureKey(site, role, 123, 1 if role == "photo" else 0)
        for site in ("kream", "onthelook")
        for role in ("photo", "product")
    ]
    assert [addresses.key(addresses.path(key)) for key in keys] == keys
    path = addresses.path(keys[0])
    assert Addresses(4).key(path) is None
    assert addresses.key(path.replace("p_0", "p_1")) is None
    assert addresses.key("/images/../etc/passwd") is None


def test_stringify__links_by_index() -> None:
    flat = json.loads(stringify({"a": [1, "x"], "b": Tagged("Ref", "x")}))
    assert flat == [{"a": 1, "b": 4}, [2, 3], 1, "x", ["Ref", 3]]


def test_stringify__cannot_close_the_script_element() -> None:
    assert "</script" not in stringify({"text": "</script><b>"})


def test_stringify__true_is_not_one() -> None:
    assert json.loads(stringify([1, True, 1.0])) == [[1, 2, 3], 1, True, 1.0]


def test_resized__passes_broken_bytes_on() -> None:
    assert resized(HTML, Size(10)) == HTML
    assert resized(b"", Size(10)) == b""
    assert media_type(picture(1, kind="WEBP")) == "image/webp"


@pytest.mark.parametrize("status", [429, 503, 500])
def test_faults__by_query(status: int) -> None:
    world = tiny_world()
    app = Faults(KreamSite(world, PictureServer(world)).build(), retry_after=4)
    with TestClient(app) as client:
        answer = client.get(f"/social/posts/1?fault={status}")
        assert answer.status_code == status
        assert answer.headers.get("retry-after") == (None if status == 500 else "4")
        assert client.get("/social/posts/1").status_code == 200


def test_faults__rates_are_met_and_repeatable() -> None:
    def statuses() -> list[int]:
        world = tiny_world()
        app = Faults(KreamSite(world, PictureServer(world)).build(), seed=1, rates={"429": 0.3})
        with TestClient(app) as client:
            return [client.get("/social/posts/1").status_code for _ in range(200)]

    first = statuses()
    assert first == statuses()
    assert 40 <= first.count(429) <= 80


def test_serving__truncated_body_breaks_the_transfer() -> None:
    with serving(tiny_world()) as server, httpx.Client() as client:
        url = server.urls["kream"]
        assert client.get(f"{url}/social/posts/1").status_code == 200
        for kind in ("truncate", "drop"):
            with pytest.raises(httpx.RemoteProtocolError):
                client.get(f"{url}/social/posts/1?fault={kind}")
        assert client.get(f"{url}/social/posts/1").status_code == 200
        assert httpx.get(f"{server.urls['onthelook']}/api/posts/1").json()["id"] == 1


def test_serving__port_and_next() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(tiny_world(), ServeOptions(port=port)) as server:
        assert server.urls == {"kream": f"http://127.0.0.1:{port}", "onthelook": f"http://127.0.0.1:{port + 1}"}


def test_site__shows_what_is_there_by_a_time_and_not_deleted() -> None:
    world = tiny_world(3)
    posts = world.posts["kream"]
    posts[3] = replace(posts[3], posted_at=posts[3].posted_at + timedelta(days=1))
    site = KreamSite(world, PictureServer(world))
    with TestClient(site.build()) as client:

        def statuses() -> list[int]:
            return [client.get(f"/social/posts/{number}").status_code for number in (1, 2, 3)]

        photo = image_paths(client.get("/social/posts/3").text)[0]
        assert statuses() == [200, 200, 200]
        site.until = posts[1].posted_at
        assert statuses() == [200, 200, 404]
        assert client.get(photo).status_code == 404
        site.deleted = {1}
        assert statuses() == [404, 200, 404]
        site.until = posts[3].posted_at
        assert statuses() == [404, 200, 200]


def test_faults__a_site_goes_down_and_recovers() -> None:
    world = tiny_world()
    app = Faults(KreamSite(world, PictureServer(world)).build())
    with TestClient(app) as client:
        paths = ("/social/posts/1", "/search", "/robots.txt")
        app.go_down()
        assert [client.get(path).status_code for path in paths] == [503] * 3
        app.recover()
        assert [client.get(path).status_code for path in paths] == [200] * 3
