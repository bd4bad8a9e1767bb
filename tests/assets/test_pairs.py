"""The verifier's rivals are part of what a pair was judged by: after a take-down there are fewer."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.io_manager import ReferenceIOManager, adopt, reference_of
from assets.pairs import candidate_pairs
from assets.resources import DataFolder, Engine, Recipes
from curation.engine import MapReport
from curation.schemas import RIVALS
from curation.tables import ShardedTable, rows_to_batch, write_json, write_shard

TABLES = ("onthelook_posts", "kream_posts", "post_crops", "pair_matches")


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """A verifier of two products, and tables without a row."""
    for name in TABLES:
        write_json(reference_of(tmp_path, dg.AssetKey(name)), {"table": str(tmp_path / name), "prefix": ""})
    write_json(tmp_path / "pair_verifier" / "manifest.json", {"halves": [{"version": "a"}, {"version": "b"}]})
    adopt(tmp_path, "pair_verifier", tmp_path / "pair_verifier")
    _know(tmp_path, "1", "2")
    return DataFolder(root=str(tmp_path))


def _know(root: Path, *products: str) -> None:
    row = {**dict.fromkeys(RIVALS.names), "site": "kream", "category": "top", "vector": np.array([1, 0], np.float32)}
    rows = [{**row, "product_id": product} for product in products]
    write_shard(
        root / "pair_verifier" / "rivals", "0", RIVALS, [rows_to_batch(rows, RIVALS)], fingerprint=str(products)
    )


def _asked(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> str:
    """The version of the verifier that the step is asked for."""
    asked: dict[str, Any] = {}

    def note(_: Engine, __: object, ___: str, inputs: object, output: ShardedTable, **arguments: Any) -> MapReport:
        asked.update(arguments)
        return MapReport(output, made=0, skipped=0)

    monkeypatch.setattr(Engine, "map", note)
    resources = {
        "data": data,
        "engine": Engine(),
        "recipes": Recipes(profile="tiny", seed=0, floors={}),
        "io_manager": ReferenceIOManager(data=data),
    }
    upstream = [dg.AssetSpec(name) for name in (*TABLES, "pair_verifier")]
    with dg.DagsterInstance.ephemeral() as instance:
        assets = [candidate_pairs, *upstream]
        # without a pair, the check `not_empty` ends the run
        dg.materialize(assets, resources=resources, instance=instance, raise_on_error=False)
    return str(asked["verifier_version"])


def test_candidate_pairs__are_judged_anew_when_a_rival_was_taken_down(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _asked(data, monkeypatch)
    assert before == _asked(data, monkeypatch)
    _know(data.path, "1")
    after = _asked(data, monkeypatch)
    assert after != before
    assert [version.split("/")[:2] for version in (before, after)] == [["a", "b"]] * 2
