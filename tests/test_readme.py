"""The README is a map: what it promises is there, and what is there it names."""

import re
from pathlib import Path

from pipelines.definitions import build
from pipelines.environments import PREFIX, Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_readme__names_every_asset() -> None:
    assets = {spec.key.to_user_string() for spec in build(Settings()).resolve_all_asset_specs()}
    assert {name for name in assets if f"`{name}`" not in README} == set()


def test_readme__names_every_make_target() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for name in targets if f"make {name}" not in README} == set()


def test_readme__names_every_setting_and_no_other() -> None:
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(re.findall(rf"{PREFIX}[A-Z0-9_]+", README)) == settings


def test_readme__names_every_room() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert {room for room in rooms if f"`{room}/`" not in README} == set()


def test_readme__paths_exist() -> None:
    paths = re.findall(r"\]\((?!http)([^)#]+)\)", README) + re.findall(r"`((?:\w+/)+\w+\.(?:py|md))`", README)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_packages__say_what_lives_there() -> None:
    files = [
        path
        for room in ("assets", "crawlers", "curation", "models", "pipelines", "sandbox", "search")
        for path in (ROOT / room).rglob("*.py")
    ]
    assert [str(path.relative_to(ROOT)) for path in files if not path.read_text().lstrip().startswith('"""')] == []
