"""The documents are right: their commands can be followed, their links lead somewhere, and the README is a map."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.definitions import build
from pipelines.environments import PREFIX, Settings
from tests.documents import DOCUMENTS, ROOT, anchors, blocks, commands, links
from tests.following import follow, service

README = (ROOT / "README.md").read_text()
COMMANDS = sorted({command for path in DOCUMENTS for command in commands(path.read_text())}, key=str)
PAGES = [*DOCUMENTS, *ROOT.glob("docs/decisions/*.md"), ROOT / "docs/EXPERIMENTS.md", ROOT / "CHANGELOG.md"]

# The hub's own client passes its uploads to httpx in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload")


@pytest.fixture(scope="session")
def made_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the documents speak of: a data folder with versions of everything, and files by the names used there."""
    from crawlers.exclusions import exclude
    from models.promotion import ModelVersions, Verdict
    from search.index import build_index
    from search.index.stores import open_store
    from tests.curation.data_folder import make_data, photo
    from tests.curation.test_anchor_cloth import write
    from tests.models.test_checkpoint import save
    from tests.search.builders import photo_of, product_rows, write_embeddings

    root = tmp_path_factory.mktemp("shop")
    data = root / "data"
    for newest in (128, 130, 132):
        make_data(data, range(115, newest))
    exclude(data / "crawl", "kream", "post", ["132"], "a typo")
    encoders = ModelVersions(data / "models" / "encoder")
    for weights in (b"one", b"two", b"three"):
        save(root / "candidate", weights, kind="encoder")
        encoders.decide(encoders.add(root / "candidate"), Verdict(True, "good"))
    build_index(write_embeddings(data / "search" / "catalog_embeddings", product_rows(3)), data / "index", "blocks-1")
    open_store(data / "index", "").delete(["kream-1"])
    (root / "PHOTO.jpg").write_bytes(photo(120))
    (root / "look.jpg").write_bytes(photo_of(0, 1, 2))
    (root / "FOLDER").mkdir()
    (root / "FOLDER" / "copy.jpg").write_bytes(photo(120))
    (root / "export.json").write_text("[]")
    for side in ("anchors", "cloths"):
        write(root / "ARCHIVE" / "dress_dataset" / "dress_dataset", side, 4, seed=len(side) * 100)
    return root


@pytest.fixture
def shop(made_shop: Path, tmp_path: Path, hub: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the working folder, and a hub that answers."""
    shutil.copytree(made_shop, tmp_path / "shop", symlinks=True)
    monkeypatch.chdir(tmp_path / "shop")
    monkeypatch.setenv("FASHION_DATA", str(tmp_path / "shop" / "data"))
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setattr("search.__main__._open", lambda data, _milvus: service(data))
    return tmp_path / "shop"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text[:80])
def test_command__can_be_followed(command: Any, shop: Path) -> None:
    follow(command)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```sh\npython -m curation version\n```", "invalid choice"),
        ("```sh\npython -m benchmarks.dedup --biggest 3\n```", "unrecognized"),
        ("```sh\npython -m models versions  # also demote\n```", "no demote"),
        ("```sh\nrsync data elsewhere\n```", "no way to follow"),
        ("`python -m pipelines take-down`", "invalid choice"),
        ("`make demos`", "No rule"),
        ("```sh\nFASHION_SEDE=2 make test\n```", "FASHION_SEDE"),
        ("```sh\ndagster asset materialise\n```", "No such command"),
    ],
)
def test_command__wrong_ones_are_told(text: str, error: str, shop: Path) -> None:
    (command,) = commands(text)
    with pytest.raises((Exception, pytest.fail.Exception), match=error):
        follow(command)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python__is_python_and_imports_what_there_is(path: Path) -> None:
    for block in blocks(path.read_text(), "python"):
        compile(block, str(path), "exec")
        exec("\n".join(re.findall(r"^(?:from|import) .+", block, re.MULTILINE)), {})  # noqa: S102 - our own document


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links__lead_somewhere(path: Path) -> None:
    for link in links(path.read_text()):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_paths__files_of_ours_that_are_named_exist(path: Path) -> None:
    named = re.findall(r"`((?:\w+/)+\w+\.(?:py|md|sh|yaml))`", path.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_documents__every_guide_can_be_found_from_the_readme() -> None:
    found = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    assert set(DOCUMENTS) - found - {ROOT / "README.md"} == set()


def test_readme__names_every_asset() -> None:
    assets = {spec.key.to_user_string() for spec in build(Settings()).resolve_all_asset_specs()}
    assert {name for name in assets if f"`{name}`" not in README} == set()


def test_readme__names_every_make_target() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for name in targets if f"make {name}" not in README} == set()


def test_readme__settings_are_there_with_these_defaults() -> None:
    rows = re.findall(rf"^\| (`{PREFIX}.+?) \|(.*?)\|", README, re.MULTILINE)
    assert rows
    for names, default in rows:
        for name in re.findall(rf"`{PREFIX}(\w+)`", names):
            value = Settings.model_fields[name.lower()].get_default(call_default_factory=True)
            assert default.strip(" `") == (
                "" if value is None else f"{value:g}" if isinstance(value, float) else str(value).lower()
            ), name


def test_documents__name_no_setting_that_is_not_there() -> None:
    named = {name for path in DOCUMENTS for name in re.findall(rf"{PREFIX}[A-Z0-9_]*[A-Z0-9]", path.read_text())}
    assert named - {PREFIX + name.upper() for name in Settings.model_fields} - {"FASHION_REAL_DATA"} == set()


def test_readme__names_every_room() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert {room for room in rooms if f"`{room}/`" not in README} == set()


def test_architecture__shows_the_graph_and_every_decision() -> None:
    page = (ROOT / "docs/ARCHITECTURE.md").read_text()
    rows = {
        name: set(re.findall(r"`(\w+)`", after))
        for name, after in re.findall(r"^\| \w+ \| `(\w+)` \| (.*?)\|$", page, re.MULTILINE)
    }
    graph = json.loads((ROOT / "tests/pipelines/graph.json").read_text())["assets"]  # itself held to the code
    assert rows == {name: set(asset["after"]) for name, asset in graph.items()}
    decisions = {f"decisions/{path.name}" for path in (ROOT / "docs/decisions").glob("*.md")}
    assert decisions <= set(links(page))


def test_benchmarks__every_program_has_its_row() -> None:
    programs = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\ndef main(" in path.read_text()}
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert {name for name in programs if f"python -m benchmarks.{name}" not in page} == set()


def test_packages__say_what_lives_there() -> None:
    files = [
        path
        for room in ("assets", "crawlers", "curation", "models", "pipelines", "sandbox", "search")
        for path in (ROOT / room).rglob("*.py")
    ]
    assert [str(path.relative_to(ROOT)) for path in files if not path.read_text().lstrip().startswith('"""')] == []
