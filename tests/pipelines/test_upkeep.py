"""Old runs and versions go; what is in use, and what the UI shows of an asset, stays."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager, adopt
from assets.resources import DataFolder, ProductIndexes
from curation.versions import VersionError, Versions
from models.promotion import ModelVersions, Verdict
from pipelines.rollback import return_to_version_before, rollback
from pipelines.upkeep import disk_usage, expire_versions, purge_runs, upkeep
from tests.models.test_checkpoint import save

DAY_S = 24 * 3600.0


@dg.asset
def thing() -> int:
    """An asset."""
    return 1


def test_purge_runs__keeps_the_latest_materialization(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        runs = [dg.materialize([thing], instance=instance).run_id for _ in range(3)]
        assert purge_runs(instance, datetime.now(UTC) - timedelta(days=1)) == []
        gone = purge_runs(instance, datetime.now(UTC) + timedelta(days=1))
        assert sorted(gone) == sorted(runs[:2])
        event = instance.get_latest_materialization_event(dg.AssetKey("thing"))
        assert event is not None
        assert event.run_id == runs[2]
        assert instance.get_run_by_id(runs[0]) is None
    left = {path.name for path in tmp_path.rglob("*") if any(part.startswith(runs[0]) for part in path.parts)}
    assert left == set()  # what is deleted frees the disk
    assert any(runs[2] in str(path) for path in tmp_path.rglob("*.db"))
    assert any(runs[2] in str(path) for path in tmp_path.rglob("*.out"))


def _datasets(data: Path, count: int, age: float = 30 * DAY_S) -> Versions:
    versions = Versions(data / "pair_dataset")
    for _ in range(count):
        with versions.stage() as (name, folder):
            (folder / "rows").write_text("x")
        made = time.time() - age
        os.utime(versions.folder / name, (made, made))
    return versions


def _models(data: Path, count: int, kind: str = "encoder") -> ModelVersions:
    models = ModelVersions(data / "models" / kind)
    for number in range(count):
        save(data / "candidate", b"%d" % number)
        models.decide(models.add(data / "candidate"), Verdict(True, "good"))
    return models


def test_expire_versions__spares_pinned_used_and_earlier(tmp_path: Path) -> None:
    versions, models = _datasets(tmp_path, 5), _models(tmp_path, 4)
    versions.pin("0001")
    versions.activate("0002")
    models.rollback("worse")  # 0003 is used, 0004 is what a second roll-back returns to
    gone = expire_versions(tmp_path, 1, 1)
    assert gone == {"pair_dataset": ["0003", "0004"], "encoder": ["0001", "0002"], "detector": [], "classifier": []}
    assert versions.names == ["0001", "0002", "0005"]
    assert models.names == ["0003", "0004"]


def test_expire_versions__spares_what_a_training_may_still_read(tmp_path: Path) -> None:
    """It began on Saturday with 0001, reviewers published three more, and upkeep comes on Monday."""
    versions = _datasets(tmp_path, 4, age=DAY_S)
    assert expire_versions(tmp_path, 1, 1)["pair_dataset"] == []
    assert versions.names == ["0001", "0002", "0003", "0004"]


def test_disk_usage__shared_files_count_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "big").write_bytes(bytes(2**20))
    before = disk_usage(tmp_path)
    (tmp_path / "b" / "same").hardlink_to(tmp_path / "a" / "big")
    assert disk_usage(tmp_path) == before
    assert before["a"] >= 2**20


def test_disk_usage__what_goes_meanwhile_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "staged.sqlite-wal").write_text("x")
    lstat = Path.lstat

    def gone(path: Path) -> os.stat_result:
        if path.name.endswith("-wal"):
            path.unlink()  # between the listing and the question
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", gone)
    assert disk_usage(tmp_path) == {"crawl": 0}


@pytest.mark.parametrize(
    ("kind", "asset"),
    [
        ("detector", "detector"),
        ("classifier", "category_classifier"),
        ("encoder", "encoder"),
        ("dataset", "pair_dataset"),
    ],
)
def test_rollback__switches_and_the_asset_hands_on_what_is_used(tmp_path: Path, kind: str, asset: str) -> None:
    versions = _datasets(tmp_path, 2) if kind == "dataset" else _models(tmp_path, 2, kind)
    adopt(tmp_path, asset, versions.folder / "0002")
    asset_key = dg.AssetKey(asset)
    resources = {"data": DataFolder(root=str(tmp_path)), "indexes": ProductIndexes()}
    config = {"ops": {"switch_back": {"config": {"kind": kind, "reason": "complaints"}}}}
    assert rollback.execute_in_process(config, resources=resources).success
    assert versions.link.resolve().name == "0001"
    handed_on = ReferenceIOManager(data=resources["data"]).load_input(dg.build_input_context(asset_key=asset_key))
    assert handed_on == versions.folder / "0001"


@pytest.mark.parametrize("kind", ["encoder", "dataset", "index"])
def test_rollback__run_says_why_it_failed(tmp_path: Path, kind: str) -> None:
    resources = {"data": DataFolder(root=str(tmp_path)), "indexes": ProductIndexes()}
    config = {"ops": {"switch_back": {"config": {"kind": kind, "reason": "complaints"}}}}
    with pytest.raises(dg.Failure, match="no earlier version"):
        rollback.execute_in_process(config, resources=resources)


def test_rollback__of_an_older_dataset_goes_further_back(tmp_path: Path) -> None:
    versions = _datasets(tmp_path, 3)
    versions.activate("0002")
    assert return_to_version_before(tmp_path, "dataset", "worse", None) == "0001"
    assert versions.link.resolve().name == "0001"


def test_rollback__a_mistyped_kind_is_refused_before_the_run(tmp_path: Path) -> None:
    resources = {"data": DataFolder(root=str(tmp_path)), "indexes": ProductIndexes()}
    config = {"ops": {"switch_back": {"config": {"kind": "encodr", "reason": "complaints"}}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match="encodr"):
        rollback.execute_in_process(config, resources=resources)


def test_rollback__refuses_without_reason_or_earlier_version(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match="reason"):
        return_to_version_before(tmp_path, "dataset", " ", None)
    _datasets(tmp_path, 1)
    with pytest.raises(VersionError, match="no earlier version"):
        return_to_version_before(tmp_path, "dataset", "worse", None)


def test_upkeep__reports_the_disk(tmp_path: Path) -> None:
    _datasets(tmp_path, 3)
    config = {"ops": {"clean_up": {"config": {"keep_datasets": 1}}}}
    result = upkeep.execute_in_process(config, resources={"data": DataFolder(root=str(tmp_path))})
    assert result.success
    assert Versions(tmp_path / "pair_dataset").names == ["0003"]
