"""The page in a real Chromium, against the real service with stand-in models."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from curation.images import TILE_COLOUR
from search.app import create_app
from search.index import Index, build_index
from search.index.stores import FolderStore
from search.query import SearchService
from tests.search.browsing import BROWSER, expect, ids, upload, violations, visiting
from tests.search.builders import (
    BlockEncoder,
    FixedDetector,
    photo_of,
    plain_photo,
    product_rows,
    write_embeddings,
)
from tests.search.serving import serving

pytestmark = BROWSER


def test_page__photo_box_results_filter_more_like_this(page: Any) -> None:
    upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    assert page.locator(".layer .box .name").all_inner_texts() == ["Top", "Bottom", "Shoes"]
    assert [ids(page, f".shelf >> nth={n}")[0] for n in range(3)] == ["kream-3", "kream-27", "kream-51"]

    page.click(".box[data-category=shoes]")
    page.wait_for_selector(".chips")
    assert page.inner_text("#results h2") == "Shoes"
    assert ids(page)[0] == "kream-51"

    page.click(".chip[data-category=top]")
    page.wait_for_selector(".chip[data-category=top][aria-pressed=true]")
    assert all(int(id.removeprefix("kream-")) < 20 for id in ids(page))  # noqa: A001

    page.click(".filters summary")
    page.click(".filter .chip[data-choice=Atelier]")
    page.wait_for_selector(".filter .chip[data-choice=Atelier][aria-pressed=true]")
    assert set(page.locator(".maker").all_inner_texts()) == {"Atelier"}
    page.fill(".filter input[name=most]", "15000")
    page.keyboard.press("Enter")
    expect(page, ".grid .card").to_have_count(3)
    assert set(ids(page)) == {"kream-1", "kream-3", "kream-5"}
    page.fill(".filter input[name=least]", "14500")
    page.keyboard.press("Enter")
    expect(page, ".grid .card").to_have_count(1)
    page.fill(".filter input[name=most]", "1")  # below the least: they change places
    page.keyboard.press("Enter")
    expect(page, ".grid .card").to_have_count(2)
    page.click(".clear")
    expect(page, ".grid .card").to_have_count(20)

    first = ids(page)[0]
    page.click(".card .more >> nth=0")
    page.wait_for_selector(".subject")
    assert first not in ids(page)
    assert len(ids(page)) == 19

    page.go_back()
    page.wait_for_selector(".chip[data-category=top][aria-pressed=true]")
    page.go_back()
    page.wait_for_selector(".shelf")


def test_page__nothing_found_and_bad_file(page: Any) -> None:
    upload(page, plain_photo())
    page.wait_for_selector(".grid .card:not(.skeleton)")
    assert page.inner_text("#results h2") == "No garment recognised"
    assert page.locator(".layer .box").count() == 0
    upload(page, b"<html>no picture</html>", "fake.jpg")
    page.wait_for_selector(".failure")
    assert "not a picture" in page.inner_text(".failure")


@pytest.mark.parametrize("width", [320, 390])
def test_page__example_and_phone_width(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.click("#example-list button")
    page.wait_for_selector(".shelf")
    assert ids(page, ".shelf >> nth=0")[0] == "kream-1"
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing sticks out sideways
    assert page.locator("#draw").bounding_box()["x"] >= 0


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_page__photo_by_paste_and_drop(page: Any, way: str) -> None:
    send = """([bytes, way]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "look.jpg", { type: "image/jpeg" }));
        const options = { bubbles: true, cancelable: true };
        document.body.dispatchEvent(way === "paste"
            ? new ClipboardEvent("paste", { ...options, clipboardData: data })
            : new DragEvent("drop", { ...options, dataTransfer: data }));
    }"""
    page.evaluate(send, [list(photo_of(3, 7, 11)), way])
    page.wait_for_selector(".shelf")
    assert ids(page, ".shelf >> nth=0")[0] == "kream-3"


def test_page__skip_link_goes_to_the_results(page: Any) -> None:
    upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results"
    assert page.is_visible(".shelf >> nth=0")
    page.go_back()
    page.wait_for_selector("#hero:visible")


def test_page__last_photo_wins(page: Any) -> None:
    """A photo that takes the browser long to make small does not displace one that was chosen after it."""
    page.evaluate("""() => {
        const read = window.createImageBitmap;
        const gate = new Promise((resolve) => (window.release = resolve));
        let photos = 0;
        window.createImageBitmap = async (...given) => {
            if (photos++ === 0) await gate;
            return read(...given);
        };
    }""")
    upload(page, photo_of(3, 7, 11))
    upload(page, photo_of(4, 8, 12))
    page.wait_for_selector(".shelf")
    with page.expect_response("**/api/search") as response:
        page.evaluate("release()")
    response.value.finished()
    page.wait_for_timeout(300)
    assert ids(page, ".shelf >> nth=0")[0] == "kream-4"
    page.go_back()
    expect(page, ".shelf >> nth=0 >> .card >> nth=0").to_have_attribute("data-id", "kream-3")


def test_page__example_that_cannot_be_fetched(page: Any) -> None:
    page.wait_for_selector("#example-list img")
    page.route("**/api/examples/*", lambda route: route.fulfill(status=422, body="no picture"))
    page.click("#example-list button")
    page.wait_for_selector(".failure")
    assert "went wrong" in page.inner_text(".failure")
    page.unroute("**/api/examples/*")
    page.click(".failure button")
    page.wait_for_selector(".shelf")
    assert ids(page, ".shelf >> nth=0")[0] == "kream-1"


def test_page__transparent_picture_is_made_small_on_the_tile_colour(page: Any) -> None:
    colour = page.evaluate("""async () => {
        const { shrink } = await import("/static/photo.js");
        const large = Object.assign(document.createElement("canvas"), { width: 2000, height: 100 });
        large.getContext("2d");
        const file = await new Promise((resolve) => large.toBlob(resolve, "image/png"));
        const small = document.createElement("canvas").getContext("2d");
        small.drawImage(await createImageBitmap(await shrink(file)), 0, 0);
        return [...small.getImageData(20, 20, 1, 1).data];
    }""")
    assert colour == pytest.approx([*TILE_COLOUR, 255], abs=1)


def test_page__copies_are_folded_and_shown_on_demand(browser: Any, tmp_path: Path) -> None:
    rows = product_rows()
    rows += [{**rows[3], "product_id": f"copy{number}"} for number in range(2)]
    build_index(write_embeddings(tmp_path / "embeddings", rows), tmp_path / "index", BlockEncoder.version)
    service = SearchService(FixedDetector(), BlockEncoder(), Index.open(tmp_path / "index"))
    with serving(create_app(service)) as address, visiting(browser, address) as page:
        upload(page, photo_of(3, 7, 11))
        page.click(".box[data-category=top]")
        page.wait_for_selector(".grid .copies")
        assert page.inner_text(".copies") == "2 more alike"
        assert len(ids(page)) == 20
        page.click(".copies")
        assert sorted(ids(page)[:3]) == ["kream-3", "kream-copy0", "kream-copy1"]
        assert page.get_attribute(".copies", "aria-expanded") == "true"
        page.click(".copies")
        assert len(ids(page)) == 20


def test_page__index_swapped_under_load(browser: Any, tmp_path: Path) -> None:
    """Everything costs the same in one version: whoever sees two prices at once has seen two versions."""
    store = FolderStore(tmp_path / "index")

    def publish(price: int) -> None:
        rows = [{**row, "price": price} for row in product_rows(4)]
        store.build(write_embeddings(tmp_path / str(price), rows, str(price)), BlockEncoder.version)

    publish(1000)
    done = Event()

    def swap() -> int:
        price = 1000
        while not done.is_set():
            publish(price := price + 1000)
        return price

    def ask(address: str) -> set[int]:
        seen = set()
        while not done.is_set():
            answer = httpx.post(f"{address}/api/search", files={"photo": photo_of(3, 2, 1)}, timeout=30).json()
            (price,) = {hit["price"] for garment in answer["garments"] for hit in garment["hits"]}
            seen.add(price)
        return seen

    app = create_app(SearchService(FixedDetector(), BlockEncoder(), store.open(), store))
    with serving(app) as address, visiting(browser, address) as page, ThreadPoolExecutor(3) as pool:
        swaps, *clients = [pool.submit(swap), pool.submit(ask, address), pool.submit(ask, address)]
        try:
            shown = [_prices(page) for _ in range(5)]
        finally:
            done.set()
        last, seen = swaps.result(), [client.result() for client in clients]
        assert {len(prices) for prices in shown} == {1}
        assert len(set.union(*seen, *shown)) > 1
        assert _prices(page) == {last}


def _prices(page: Any) -> set[int]:
    """Every price that the page shows after another search."""
    with page.expect_response("**/api/search"):
        upload(page, photo_of(3, 2, 1))
    page.wait_for_selector("#results[aria-busy=false] .shelf")
    return {int(re.sub(r"\D", "", text)) for text in page.locator("#results .price").all_inner_texts()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page__axe_finds_nothing(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.reload()
    page.wait_for_selector("#example-list img")
    found = violations(page)
    upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    found += violations(page)
    page.click(".box[data-category=shoes]")
    page.wait_for_selector(".chips")
    page.click(".filters summary")
    found += violations(page)
    page.click(".card .more >> nth=0")
    page.wait_for_selector(".subject")
    found += violations(page)
    upload(page, b"no picture", "fake.jpg")
    page.wait_for_selector(".failure")
    found += violations(page)
    assert not found, "\n".join(found)
