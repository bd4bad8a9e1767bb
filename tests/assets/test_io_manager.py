"""References lead from asset to asset; one that is not there is told by name."""

from pathlib import Path

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager, adopt
from assets.resources import DataFolder
from curation.places import place
from curation.tables import ShardedTable
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


def test_load_input__finds_everything_in_a_folder_that_was_moved(tmp_path: Path) -> None:
    old, new = tmp_path / "data", tmp_path / "srv" / "shop"
    manager = ReferenceIOManager(data=DataFolder(root=str(old)))
    for asset, made in (("encoder", old / "models" / "encoder"), ("kream_catalog", ShardedTable(old / "crawl", "x"))):
        with dg.build_output_context(asset_key=dg.AssetKey(asset)) as context:
            manager.handle_output(context, made)
    new.parent.mkdir()
    old.rename(new)
    assert _load(new, "encoder") == new / "models" / "encoder"
    assert _load(new, "kream_catalog") == ShardedTable(new / "crawl", "x")


def test_load_input__tables_elsewhere_stay_there(tmp_path: Path) -> None:
    table = ShardedTable(place("memory://shop/search"), "")
    with dg.build_output_context(asset_key=dg.AssetKey("catalog_embeddings")) as context:
        ReferenceIOManager(data=DataFolder(root=str(tmp_path))).handle_output(context, table)
    assert _load(tmp_path, "catalog_embeddings") == table


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
