"""Stages: signatures, records, blocking checks; the data folder's owner; references between assets."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import psutil
import pyarrow as pa
import pytest

from assets.io_manager import ReferenceIOManager, adopt
from assets.memory import MemoryPeak, tree_memory
from assets.resources import DataFolder
from assets.stage import Check, Outcome, Rows, stage
from assets.world import WorldError, claim, claimed_world
from curation.tables import ShardedTable, write_shard
from curation.versions import Versions

SCHEMA = pa.schema([pa.field("name", pa.string(), metadata={"comment": "as <b>shown</b>"}), pa.field("n", pa.int64())])


@stage("label", kinds={"parquet"}, checks={"not_empty": "There are rows."})
def numbers(data: DataFolder) -> Outcome:
    """Some numbers."""
    rows = pa.table({"name": ["![x](http://evil.test/a.gif)", "plain|pipe"], "n": [1, 2]}, schema=SCHEMA)
    write_shard(data.path / "numbers", "a", SCHEMA, [rows], fingerprint="f")
    passed = Check(os.environ.get("NUMBERS_FAIL") is None, "two rows")
    return Outcome(data.table("numbers"), Rows(3, 2, 1), {"note": "hello"}, {"not_empty": passed})


@stage("label", kinds={"json"}, checks={})
def doubled(data: DataFolder, numbers: ShardedTable) -> Outcome:
    """Twice the numbers."""
    out = data.path / "doubled"
    out.mkdir(exist_ok=True)
    (out / "sum.json").write_text(json.dumps(2 * sum(numbers.table(["n"])["n"].to_pylist())))
    return Outcome(out, Rows(2, 2))


def _run(tmp_path: Path) -> dg.ExecuteInProcessResult:
    data = DataFolder(root=str(tmp_path))
    resources = {"data": data, "io_manager": ReferenceIOManager(data=data)}
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([numbers, doubled], resources=resources, instance=instance, raise_on_error=False)


def test_stage__hands_on_references_and_records_itself(tmp_path: Path) -> None:
    assert _run(tmp_path).success
    assert json.loads((tmp_path / "doubled" / "sum.json").read_text()) == 6
    record = json.loads((tmp_path / "stages" / "numbers.json").read_text())
    assert (record["group"], record["rows_in"], record["rows_kept"], record["rows_dropped"]) == ("label", 3, 2, 1)
    assert record["peak_memory_gib"] > 0


def test_stage__failing_check_stops_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBERS_FAIL", "1")
    assert not _run(tmp_path).success
    assert not (tmp_path / "doubled").exists()


def test_io_manager__crawled_text_cannot_become_markup(tmp_path: Path) -> None:
    result = _run(tmp_path)
    metadata = result.asset_materializations_for_node("numbers")[0].metadata
    preview = metadata["preview"].value
    assert "![x]" not in preview
    assert "plain\\|pipe" in preview
    assert metadata["dagster/row_count"].value == 2
    assert metadata["dagster/column_schema"].value.columns[0].description == "as <b>shown</b>"


def test_io_manager__leads_to_the_version_in_use(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "pair_dataset")
    for _ in range(3):
        with versions.stage():
            pass

    def load() -> Path | ShardedTable:
        manager = ReferenceIOManager(data=DataFolder(root=str(tmp_path)))
        return manager.load_input(dg.build_input_context(asset_key=dg.AssetKey("pair_dataset")))

    adopt(tmp_path, "pair_dataset", versions.folder / "0003")
    assert load() == versions.folder / "0003"
    versions.activate("0001")  # as `python -m curation versions --use` does
    versions.remove("0003")
    assert load() == versions.folder / "0001"
    adopt(tmp_path, "pair_dataset", tmp_path / "models" / "encoder_candidate")  # no version
    assert load() == tmp_path / "models" / "encoder_candidate"


def test_stage__undeclared_check_is_refused(tmp_path: Path) -> None:
    @stage("label", kinds={"json"}, checks={"declared": "x"})
    def careless(data: DataFolder) -> Outcome:
        """Reports nothing."""
        return Outcome(data.path, Rows(0, 0))

    data = DataFolder(root=str(tmp_path))
    resources = {"data": data, "io_manager": ReferenceIOManager(data=data)}
    with pytest.raises(ValueError, match="declared"):
        dg.materialize([careless], resources=resources)


def test_claim__another_world_is_refused(tmp_path: Path) -> None:
    assert claimed_world(tmp_path / "new") is None
    claim(tmp_path / "new", "sandbox seed 1")
    claim(tmp_path / "new", "sandbox seed 1")
    with pytest.raises(WorldError, match=r"sandbox seed 1.*sandbox seed 2"):
        claim(tmp_path / "new", "sandbox seed 2")


def test_memory_peak__counts_children() -> None:
    code = "b = bytearray(80 * 2**20); b[::4096] = b'x' * len(b[::4096]); print('ready', flush=True); input()"
    with MemoryPeak() as peak:
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout
        child.stdout.readline()
        own = tree_memory(psutil.Process()) / 2**30
        time.sleep(1.2)  # one sampling interval
        child.communicate(b"\n")
    assert own > 80 / 1024
    assert peak.gib >= 80 / 1024
