"""Remembered outcomes: not made again while nothing changed, and made again when anything did."""

from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from assets.io_manager import ReferenceIOManager
from assets.remembered import forget, identity, kept_at
from assets.resources import DataFolder
from assets.stage import Check, Outcome, Rows, stage
from curation.tables import ShardedTable, write_json, write_shard

SCHEMA = pa.schema([pa.field("n", pa.int64())])
CALLS: list[int] = []


class Wanted(dg.Config):
    """How much is added."""

    more: int = 1


@stage("label", kinds={"parquet"}, checks={})
def sources(data: DataFolder) -> Outcome:
    """A table that the test wrote."""
    return Outcome(data.table("numbers"), Rows(1, 1))


@stage("label", kinds={"json"}, checks={"positive": "The sum is above zero."}, remembered="1")
def total(data: DataFolder, config: Wanted, sources: ShardedTable) -> Outcome:
    """The sum, noted in a manifest."""
    found = sum(sources.table()["n"].to_pylist()) + config.more
    CALLS.append(found)
    write_json(data.path / "total" / "manifest.json", {"sum": found})
    facts = {"sum": found, "share": 0.5, "words": dg.MetadataValue.md("**sum**"), "raw": dg.MetadataValue.json([found])}
    return Outcome(data.path / "total", Rows(3, 2, 1), facts, {"positive": Check(found > 0, f"{found}")})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    CALLS.clear()
    _write(tmp_path, 5)
    return tmp_path


def _write(data: Path, number: int) -> None:
    rows = [pa.table({"n": [number]}, schema=SCHEMA)]
    write_shard(data / "numbers", "a", SCHEMA, rows, fingerprint=str(number))


def _run(data: Path, more: int = 1) -> dict[str, object]:
    folder = DataFolder(root=str(data))
    resources = {"data": folder, "io_manager": ReferenceIOManager(data=folder)}
    config = dg.RunConfig(ops={"total": Wanted(more=more)})
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([sources, total], resources=resources, instance=instance, run_config=config)
    metadata = dict(result.asset_materializations_for_node("total")[0].metadata)
    check = result.get_asset_check_evaluations()[0]
    metadata.pop("seconds")
    return {"metadata": metadata, "passed": check.passed, "said": check.description, "severity": check.severity}


def test_stage__outcome_is_remembered_with_all_that_it_said(data: Path) -> None:
    first, second = _run(data), _run(data)
    assert CALLS == [6]
    assert first == second
    assert first["metadata"]["words"] == dg.MetadataValue.md("**sum**")


@pytest.mark.parametrize("change", ["input", "config", "value", "note"])
def test_stage__anything_that_changed_makes_it_again(data: Path, change: str) -> None:
    _run(data)
    more = 1
    if change == "input":
        _write(data, 7)
    elif change == "config":
        more = 2
    elif change == "value":
        write_json(data / "total" / "manifest.json", {"sum": "by somebody else"})
    else:
        assert forget(data) == 1
        assert not kept_at(data, "total").exists()
    _run(data, more)
    assert len(CALLS) == 2


def test_identity__of_an_artifact_is_what_its_manifests_and_links_say(tmp_path: Path) -> None:
    write_json(tmp_path / "v1" / "manifest.json", {"version": 1})
    before = identity(tmp_path)
    (tmp_path / "v1" / "weights").write_bytes(b"x")
    assert identity(tmp_path) == before
    (tmp_path / "current").symlink_to("v1")
    linked = identity(tmp_path)
    write_json(tmp_path / "v1" / "manifest.json", {"version": 2})
    assert len({str(found) for found in (before, linked, identity(tmp_path))}) == 3


def test_identity__unknown_input_is_refused() -> None:
    with pytest.raises(TypeError, match="an input of type int has no identity"):
        identity(1)
