"""The demo makes room for itself, but not at the cost of what people said."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assets.world import claim
from pipelines.__main__ import main

OTHER = "sandbox photos /home/ann/shop"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of another world, in which the demo would run."""
    data = tmp_path / "data"
    claim(data, OTHER)
    (data / "crawl").mkdir()
    monkeypatch.setenv("FASHION_DATA", str(data))

    def run(*_: Any, **__: Any) -> SimpleNamespace:
        assert not data.exists()
        return SimpleNamespace(returncode=7)

    monkeypatch.setattr(subprocess, "run", run)
    return data


def test_demo__makes_room_where_all_can_be_made_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 7
    assert f"removing {data}, made for {OTHER!r}" in capsys.readouterr().out


@pytest.mark.parametrize("said", ["review/verdicts/ann.jsonl", "takedowns.jsonl", "crawl/exclusions.jsonl"])
def test_demo__leaves_what_people_said(said: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / said).parent.mkdir(parents=True, exist_ok=True)
    (data / said).write_text("{}\n")
    assert main(["demo"]) == 2
    error = capsys.readouterr().err
    assert f"demo: {data} was made for {OTHER!r} and holds what cannot be made again: {data / said};" in error
    assert "set FASHION_DATA to another folder for 'sandbox seed" in error
    assert (data / said).is_file()
