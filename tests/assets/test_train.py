"""Encoders of categories: those that lie there are those of this dataset."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager, adopt
from assets.resources import DataFolder, Recipes
from assets.train import category_encoders
from curation.tables import write_json


def _trained(root: Path, **pairs: int) -> set[str]:
    """What lies beside the encoders after a run on a dataset of so many pairs by category."""
    write_json(root / "pairs" / "manifest.json", {"fingerprint": str(pairs), "rows_per_category": pairs})
    write_json(root / "common" / "manifest.json", {"version": "a"})
    adopt(root, "pair_dataset", root / "pairs")
    adopt(root, "encoder", root / "common")
    data = DataFolder(root=str(root))
    resources = {
        "data": data,
        "recipes": Recipes(profile="tiny", seed=0, floors={}),
        "children": dg.PipesSubprocessClient(),
        "io_manager": ReferenceIOManager(data=data),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        assets = [category_encoders, *map(dg.AssetSpec, ("pair_dataset", "encoder"))]
        assert dg.materialize(assets, resources=resources, instance=instance).success
    return {path.name for path in (root / "models" / "category_encoders").iterdir()}


def test_category_encoders__of_a_category_that_has_too_few_pairs_now_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(_: Any, data: DataFolder, *__: Any, name: str, **___: Any) -> Path:
        out = data.path / "models" / name
        for note in ("request", "config"):
            write_json(out.with_name(f"{out.name}.{note}.json"), {})
        write_json(out / "manifest.json", {"metrics": {"r@1": 0.5}})
        return out

    monkeypatch.setattr("assets.train.train", train)
    top = {"top", "top.request.json", "top.config.json"}
    assert _trained(tmp_path, hat=60, top=300) == {*top, "hat", "hat.request.json", "hat.config.json"}
    assert _trained(tmp_path, hat=40, top=280) == top
