"""The page in a real Chromium, against the real service with stand-in models."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from search.app import create_app
from search.query import SearchService
from tests.search.builders import photo_of, plain_photo

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")]

WIDTH, HEIGHT = 1200, 900


@pytest.fixture
def address(service: SearchService, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "a.jpg").write_bytes(photo_of(1, 2, 3))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(service, tmp_path), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console", lambda line: wrong.append(line.text) if line.type == "error" and "422" not in line.text else 0
        )
        page.goto(address)
        yield page
        browser.close()
    assert wrong == []  # script errors, and anything that the content-security policy blocked


def _upload(page: Any, photo: bytes, name: str = "look.jpg") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/jpeg", "buffer": photo})


def _ids(page: Any, within: str = "#results") -> list[str]:
    return page.locator(f"{within} >> .card").evaluate_all("cards => cards.map(card => card.dataset.id)")


def test_page__photo_box_results_filter_more_like_this(page: Any) -> None:
    _upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    assert page.locator(".layer .box .name").all_inner_texts() == ["Top", "Bottom", "Shoes"]
    assert [_ids(page, f".shelf >> nth={n}")[0] for n in range(3)] == ["kream-3", "kream-27", "kream-51"]

    page.click(".box[data-category=shoes]")
    page.wait_for_selector(".chips")
    assert page.inner_text("#results h2") == "Shoes"
    assert _ids(page)[0] == "kream-51"

    page.click(".chip[data-category=top]")
    page.wait_for_selector(".chip[data-category=top][aria-pressed=true]")
    assert all(int(id.removeprefix("kream-")) < 20 for id in _ids(page))  # noqa: A001

    first = _ids(page)[0]
    page.click(".card .more >> nth=0")
    page.wait_for_selector(".subject")
    assert first not in _ids(page)
    assert len(_ids(page)) == 19

    page.go_back()
    page.wait_for_selector(".chip[data-category=top][aria-pressed=true]")
    page.go_back()
    page.wait_for_selector(".shelf")


def test_page__box_by_mouse(page: Any) -> None:
    _upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    frame = page.locator(".layer").bounding_box()
    at = lambda x, y: (frame["x"] + frame["width"] * x / 300, frame["y"] + frame["height"] * y / 400)  # noqa: E731
    page.mouse.move(*at(60, 170))
    page.mouse.down()
    page.mouse.move(*at(120, 230), steps=3)
    page.mouse.move(*at(180, 290), steps=3)
    page.mouse.up()
    page.wait_for_selector(".chips")
    assert page.inner_text("#results h2") == "Your box"
    assert page.get_attribute(".chip[data-category=any]", "aria-pressed") == "true"
    assert _ids(page)[0] == "kream-27"


def test_page__box_by_keyboard_in_korean(page: Any) -> None:
    page.click("[data-language=ko]")
    _upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    assert page.get_attribute("html", "lang") == "ko"
    page.focus("#draw")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hand:focus")
    before = page.locator(".hand").bounding_box()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowRight"):
        page.keyboard.press(key)
    after = page.locator(".hand").bounding_box()
    assert after["x"] < before["x"]
    assert after["y"] < before["y"]
    assert after["width"] > before["width"]
    page.keyboard.press("Enter")
    page.wait_for_selector(".chips")
    assert page.inner_text("#results h2") == "직접 그린 영역"
    assert page.evaluate("document.activeElement.tagName") == "H2"


def test_page__nothing_found_and_bad_file(page: Any) -> None:
    _upload(page, plain_photo())
    page.wait_for_selector(".grid .card:not(.skeleton)")
    assert page.inner_text("#results h2") == "No garment recognised"
    assert page.locator(".layer .box").count() == 0
    _upload(page, b"<html>no picture</html>", "fake.jpg")
    page.wait_for_selector(".failure")
    assert "not a picture" in page.inner_text(".failure")


def test_page__example_and_phone_width(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#example-list button")
    page.wait_for_selector(".shelf")
    assert _ids(page, ".shelf >> nth=0")[0] == "kream-1"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # nothing sticks out sideways
