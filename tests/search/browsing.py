"""Debian's Chromium on a page of the service, and what tests look at there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-headless-shell")
BROWSER: Final = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
WIDTH: Final = 1200
HEIGHT: Final = 900


@contextmanager
def visiting(browser: Any, address: str, refused: str = "422") -> Iterator[Any]:
    """A page at an address. Script errors, and anything that the content-security policy blocks, fail the test.

    Answers of the status `refused` do not, though Chromium writes them to the console.
    """
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
    page.set_default_timeout(15_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" and refused not in line.text else 0)
    page.goto(address)
    yield page
    page.close()
    assert wrong == []


def expect(page: Any, selector: str) -> Any:
    """Playwright's waiting assertions on what a selector finds."""
    from playwright.sync_api import expect as playwright_expect

    return playwright_expect(page.locator(selector))


def upload(page: Any, photo: bytes, name: str = "look.jpg") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/jpeg", "buffer": photo})


def ids(page: Any, within: str = "#results") -> list[str]:
    return page.locator(f"{within} >> .card").evaluate_all("cards => cards.map(card => card.dataset.id)")


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong by WCAG 2.2 AA and by its own best practices."""
    from axe_playwright_python.sync_playwright import Axe

    page.wait_for_timeout(350)  # colours fade in
    found = Axe().run(page).response["violations"]
    return [f"{item['id']}: {node['html'][:120]}" for item in found for node in item["nodes"]]
