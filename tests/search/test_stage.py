"""The photo with its boxes, in a real Chromium: drawn, moved and resized by mouse and by keyboard."""

from typing import Any

import pytest

from curation.images import encode_jpeg
from search.photo import open_photo
from tests.search.browsing import BROWSER, expect, ids, upload
from tests.search.builders import PHOTO, photo_of

pytestmark = BROWSER


def test_stage__box_by_mouse(page: Any) -> None:
    upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    _drag(page, (60, 170), (180, 290))
    page.wait_for_selector(".chips")
    assert page.inner_text("#results h2") == "Your box"
    assert page.get_attribute(".chip[data-category=any]", "aria-pressed") == "true"
    assert ids(page)[0] == "kream-27"


def test_stage__box_by_keyboard_in_korean(page: Any) -> None:
    page.click("[data-language=ko]")
    upload(page, photo_of(3, 7, 11))
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


def test_stage__found_box_is_adjusted_by_grip_and_by_keyboard(page: Any) -> None:
    upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    page.click(".box[data-category=top]")
    page.wait_for_selector(".chosen .grip")
    grip = page.locator(".chosen [data-grip=se]").bounding_box()
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 30, steps=4)
    page.mouse.up()
    page.wait_for_selector(".hand[aria-pressed=true]")
    page.wait_for_selector(".chip[data-category=top][aria-pressed=true]")  # it keeps the garment's category
    assert page.inner_text("#results h2") == "Your box"
    page.go_back()
    page.wait_for_selector(".chosen")
    page.focus(".chosen")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.classList.contains('hand')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".chip[data-category=top][aria-pressed=true]")
    assert ids(page)[0] == "kream-3"


def test_stage__back_shows_the_box_that_was_searched(page: Any) -> None:
    upload(page, photo_of(3, 7, 11))
    page.wait_for_selector(".shelf")
    for corner in ((60, 170), (190, 290)):
        _drag(page, corner, (corner[0] + 100, corner[1] + 100))
        expect(page, ".hand .name").to_be_visible()
        page.wait_for_selector("#results[aria-busy=false] .chips")
    page.go_back()
    expect(page, ".grid .card >> nth=0").to_have_attribute("data-id", "kream-27")
    frame, hand = page.locator(".layer").bounding_box(), page.locator(".hand").bounding_box()
    assert (hand["x"] - frame["x"]) / frame["width"] == pytest.approx(60 / 300, abs=0.01)
    assert (hand["y"] - frame["y"]) / frame["height"] == pytest.approx(170 / 400, abs=0.01)


def test_stage__no_box_is_too_small_for_the_service(page: Any) -> None:
    """3 % of this photo's width are fewer px than the service takes."""
    upload(page, encode_jpeg(open_photo(photo_of(3, 7, 11)).image.resize((90, 120))))
    page.wait_for_selector(".shelf")
    page.focus("#draw")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hand:focus")
    for key in ["Shift+ArrowLeft"] * 20 + ["Shift+ArrowUp"] * 20 + ["Enter"]:
        page.keyboard.press(key)
    page.wait_for_selector("#results[aria-busy=false] .chips")
    assert page.inner_text("#results h2") == "Your box"


def _drag(page: Any, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Drag over the stage, from and to px of a photo of `PHOTO`."""
    frame = page.locator(".layer").bounding_box()
    at = lambda x, y: (frame["x"] + frame["width"] * x / PHOTO[0], frame["y"] + frame["height"] * y / PHOTO[1])  # noqa: E731
    page.mouse.move(*at(*start))
    page.mouse.down()
    page.mouse.move(*at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), steps=3)
    page.mouse.move(*at(*end), steps=3)
    page.mouse.up()
