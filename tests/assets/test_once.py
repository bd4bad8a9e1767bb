"""A directory is made once per request, and again after a kill or another request."""

from pathlib import Path

import pytest

from assets.once import listing, once


def _make(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "content").write_text(text)


def test_once__same_request_makes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert once(folder, {"steps": 1}, lambda: _make(folder, "a"))
    assert not once(folder, {"steps": 1}, lambda: _make(folder, "b"))
    assert (folder / "content").read_text() == "a"


def test_once__other_request_makes_again(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    once(folder, {"steps": 1}, lambda: _make(folder, "a"))
    assert once(folder, {"steps": 2}, lambda: _make(folder, "b"))
    assert (folder / "content").read_text() == "b"


def test_once__failure_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    once(folder, 1, lambda: _make(folder, "a"))

    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        once(folder, 2, fail)
    assert once(folder, 1, lambda: _make(folder, "again"))


def test_listing__changes_with_a_file(tmp_path: Path) -> None:
    _make(tmp_path / "data", "a")
    before = listing(tmp_path / "data")
    assert listing(tmp_path / "data") == before
    (tmp_path / "data" / "more").write_text("b")
    assert listing(tmp_path / "data") != before
