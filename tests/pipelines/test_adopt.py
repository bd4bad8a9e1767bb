"""A checkpoint from elsewhere becomes a version that the graph uses."""

import json
import shutil
from pathlib import Path

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager
from assets.resources import DataFolder
from models.checkpoint import MANIFEST, open_checkpoint
from models.promotion import ModelVersions
from pipelines.__main__ import main
from tests.models.encoder.conftest import checkpoint as checkpoint


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FASHION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def _used_by_the_graph(data: Path) -> Path:
    manager = ReferenceIOManager(data=DataFolder(root=str(data)))
    with dg.build_input_context(asset_key=dg.AssetKey("encoder")) as context:
        found = manager.load_input(context)
    assert isinstance(found, Path)
    return found


@pytest.mark.parametrize("published", [False, True])
def test_adopt__encoder_that_nobody_trained_here(
    data: Path, checkpoint: Path, tmp_path: Path, published: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    shutil.copytree(checkpoint, source)
    if published:
        (source / MANIFEST).unlink()
    assert main(["adopt", str(source), "--reason", "to begin with"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["in_use"] == "0001"
    assert "search_index" in answer["next"]
    versions = ModelVersions(data / "models" / "encoder")
    assert _used_by_the_graph(data) == versions.current == data / "models" / "encoder_versions" / "0001"
    assert (versions.current / MANIFEST).is_file()
    version = open_checkpoint(data / "models" / "encoder", "encoder")[1].version
    assert version == open_checkpoint(source, "encoder")[1].version
    (decision,) = versions.ledger()
    assert (decision["by"], decision["reason"]) == ("person", "to begin with")


def test_adopt__same_again_is_no_new_version(data: Path, checkpoint: Path) -> None:
    for _ in range(2):
        assert main(["adopt", str(checkpoint), "--reason", "x"]) == 0
    assert ModelVersions(data / "models" / "encoder").names == ["0001"]


@pytest.mark.parametrize(
    ("kind", "source", "reason", "message"),
    [
        ("detector", "", "x", "is of kind encoder, not of kind detector"),
        ("encoder", "/no/such/folder", "x", "is no checkpoint directory"),
        ("encoder", "", " ", "reason: must say why"),
    ],
)
def test_adopt__what_will_not_do(
    data: Path, checkpoint: Path, kind: str, source: str, reason: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adopt", "--kind", kind, source or str(checkpoint), "--reason", reason]) == 2
    assert message in capsys.readouterr().err
    assert not data.exists()
