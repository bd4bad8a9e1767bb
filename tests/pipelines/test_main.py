"""The demo and `clean` make room, but not at the cost of what cannot be made again; wrong options are refused."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assets.world import claim, claimed_world
from pipelines.__main__ import main
from pipelines.environments import Settings
from pipelines.room import MADE, make_room
from pipelines.scale import Scale

ROOT = Path(__file__).parents[2]
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


def test_demo__keeps_a_finished_one_whatever_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    claim(tmp_path, Settings(photos=tmp_path).world)
    monkeypatch.setenv("FASHION_DATA", str(tmp_path))
    monkeypatch.setenv("FASHION_PHOTOS", str(tmp_path))
    monkeypatch.setenv("FASHION_PROFILE", "full")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=7))
    assert main(["demo"]) == 7
    assert "removing" not in capsys.readouterr().out
    assert tmp_path.is_dir()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Folder of Dagster's state."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return home


def test_clean__removes_what_can_be_made_again(data: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", "--dagster-home", str(home)]) == 0
    assert capsys.readouterr().out == f"removed {data}, {home}\n"
    assert not data.exists()
    assert not home.exists()
    assert main(["clean", "--dagster-home", str(home)]) == 0


@pytest.mark.parametrize("said", ["review/verdicts/ann.jsonl", "takedowns.jsonl", "crawl/exclusions.jsonl"])
def test_clean__leaves_what_people_said(said: str, data: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / said).parent.mkdir(parents=True, exist_ok=True)
    (data / said).write_text("{}\n")
    assert main(["clean", "--dagster-home", str(home)]) == 2
    assert str(data / said) in capsys.readouterr().err
    assert (data / said).is_file()
    assert home.is_dir()


@pytest.mark.parametrize("world", ["the real sites", None])
def test_clean__leaves_what_was_really_crawled_unless_forced(
    world: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "shop"
    (data / "crawl").mkdir(parents=True)
    if world is not None:
        claim(data, world)
    monkeypatch.setenv("FASHION_DATA", str(data))
    assert main(["clean"]) == 2
    assert f"clean: {data} holds" in capsys.readouterr().err
    assert data.is_dir()
    assert main(["clean", "--force"]) == 0
    assert not data.exists()


def test_clean__leaves_a_home_that_is_not_of_dagster(data: Path, tmp_path: Path) -> None:
    assert main(["clean", "--force", "--dagster-home", str(tmp_path)]) == 2
    assert data.is_dir()


def test_clean__removes_a_home_inside_the_data(data: Path) -> None:
    (data / "home").mkdir()
    (data / "home" / "dagster.yaml").write_text("")
    assert main(["clean", "--dagster-home", str(data / "home")]) == 0
    assert not data.exists()


def test_clean__follows_a_link_to_another_disk(data: Path, tmp_path: Path) -> None:
    data.rename(tmp_path / "disk")
    data.symlink_to(tmp_path / "disk")
    assert main(["clean"]) == 0
    assert not data.is_symlink()
    assert not (tmp_path / "disk").exists()


def test_clean__follows_a_link_to_a_home_on_another_disk(data: Path, home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    assert main(["clean", "--dagster-home", str(link)]) == 0
    assert not link.is_symlink()
    assert not home.exists()


def test_clean__of_a_folder_in_which_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASHION_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()  # as a container mounts it
    assert main(["clean"]) == 0
    assert capsys.readouterr().err == ""


def test_make_room__leaves_what_nobody_made_here(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk, or the volume of a container, that holds an annotated set too."""
    (data / "modanet").mkdir()
    make_room(data, Settings().world, print)
    assert list(data.iterdir()) == [data / "modanet"]
    claim(data, OTHER)
    assert main(["clean"]) == 0
    assert list(data.iterdir()) == [data / "modanet"]


def test_make_room__knows_all_that_is_made() -> None:
    rooms = ("assets", "curation", "pipelines")
    code = "".join(path.read_text() for room in rooms for path in (ROOT / room).glob("*.py"))
    named = re.findall(r"(?:data(?:\.path)?|self\.folder) / \"([\w.]+)\"|data\.table\(\"(\w+)", code)
    assert len(named) > 20
    assert {name or table for name, table in named} <= set(MADE)


def test_make_room__a_killed_one_leaves_the_folder_to_its_world(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_room(data, Settings().world, print)
    assert claimed_world(data) == OTHER


def test_makefile__touches_no_home_of_others(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("storage: {}\n")
    os.utime(tmp_path / "dagster.yaml", (0, 0))  # older than ours
    make = ["make", "--dry-run", "--old-file=.venv/.ready", f"DAGSTER_HOME={tmp_path}", "dev", "clean"]
    done = subprocess.run(make, cwd=ROOT, check=True, capture_output=True, text=True)
    assert "dagster dev" in done.stdout
    assert str(tmp_path) not in done.stdout


def test_settings__reader_that_stops_early() -> None:
    command = f"set -o pipefail; {sys.executable} -m pipelines settings | true"
    done = subprocess.run(["/bin/bash", "-c", command], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("option", [("--pairs", "0"), ("--pairs", "-5"), ("--hours", "-1"), ("--hours", "nan")])
def test_scale__numbers_are_above_zero(
    option: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Scale, "run", lambda *_: pytest.fail("work was begun"))
    with pytest.raises(SystemExit) as ended:
        main(["scale", *option])
    assert ended.value.code == 2
    assert f"{option[0]}: must be above 0, got {option[1]}" in capsys.readouterr().err
