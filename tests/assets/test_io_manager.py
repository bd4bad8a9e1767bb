"""References lead from asset to asset; one that is not there is told by name."""

from pathlib import Path

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager, adopt
from assets.resources import DataFolder
from pipelines.definitions import build
from pipelines.environments import Settings

SELECTED = '+key:"encoder"'


def _load(data: Path, asset: str) -> object:
    manager = ReferenceIOManager(data=DataFolder(root=str(data)))
    with dg.build_input_context(asset_key=dg.AssetKey(asset)) as context:
        return manager.load_input(context)


def test_load_input__leads_to_what_was_made(tmp_path: Path) -> None:
    adopt(tmp_path, "encoder", tmp_path / "models" / "encoder")
    assert _load(tmp_path, "encoder") == tmp_path / "models" / "encoder"


def test_load_input__what_was_never_made_is_told_and_not_retried(tmp_path: Path) -> None:
    with pytest.raises(dg.Failure) as failed:
        _load(tmp_path, "encoder")
    assert str(failed.value.description).startswith(f"encoder was never made in {tmp_path}: materialize it first")
    assert SELECTED in str(failed.value.description)
    assert not failed.value.allow_retries


def test_load_input__the_selection_that_is_named_takes_everything_upstream() -> None:
    graph = build(Settings()).resolve_asset_graph()
    selected = {key.to_user_string() for key in dg.AssetSelection.from_string(SELECTED).resolve(graph)}
    assert {"encoder", "pair_dataset", "kream_posts", "detection_dataset"} <= selected
