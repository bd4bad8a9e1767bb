"""What the gate decides is what later stages get: through Dagster, with checkpoints that took no training."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager
from assets.promotion import Considered, consider
from assets.resources import DataFolder
from assets.stage import Outcome, Rows, stage
from models.card import Result
from models.checkpoint import open_checkpoint
from models.promotion import ModelVersions, Verdict
from tests.models.test_checkpoint import save

RESULT: Result = {"dataset": "abc", "split": "test", "metrics": {"r@1": 0.5}}


def _consider(versions: ModelVersions, weights: bytes, passed: bool, *, closed: bool = True) -> Considered:
    candidate = versions.link.with_name("candidate")
    save(candidate, weights)
    verdict = Verdict(passed, f"passed: {passed}")
    return consider(versions, candidate, lambda _: (verdict, RESULT), closed=closed, keep=1)


@pytest.fixture
def versions(tmp_path: Path) -> ModelVersions:
    return ModelVersions(tmp_path / "models" / "encoder")


def test_consider__refused_one_leaves_the_old_in_use_and_warns(versions: ModelVersions) -> None:
    first = _consider(versions, b"one", passed=True)
    assert (first.in_use.name, first.check.passed) == ("0001", True)
    second = _consider(versions, b"two", passed=False)
    assert second.in_use == versions.link.resolve() == first.in_use
    assert (second.check.passed, second.check.warns) == (False, True)
    assert second.check.description == "0002 refused: passed: False; in use: 0001"
    assert "| 0002 | refused | gate | passed: False | 0001 |" in second.metadata["ledger"].value
    third = _consider(versions, b"three", passed=True)
    assert (third.in_use.name, third.check.passed) == ("0003", True)


def test_consider__first_refused_one_blocks(versions: ModelVersions) -> None:
    refused = _consider(versions, b"one", passed=False)
    assert (refused.check.passed, refused.check.warns) == (False, False)
    assert not versions.link.exists()


def test_consider__decides_once_so_that_a_rollback_lasts(versions: ModelVersions) -> None:
    _consider(versions, b"one", passed=True)
    _consider(versions, b"two", passed=True)
    versions.rollback("complaints")
    again = _consider(versions, b"two", passed=True)
    assert again.in_use.name == "0001"
    assert [row["decision"] for row in versions.ledger()] == ["promoted", "promoted", "rolled back"]


def test_consider__open_gate_and_old_versions(versions: ModelVersions) -> None:
    for weights in (b"one", b"two", b"three", b"four"):
        considered = _consider(versions, weights, passed=False, closed=False)
    assert considered.check.passed
    assert versions.names == ["0003", "0004"]  # the newest, and the one to return to
    assert versions.ledger()[-1]["reason"] == "gates are off; passed: False"


def test_consider__what_was_measured_is_on_the_card(versions: ModelVersions) -> None:
    in_use = _consider(versions, b"one", passed=True).in_use
    assert "| abc, test | r@1 | 0.5 |" in (in_use / "README.md").read_text()
    assert not (versions.link.with_name("candidate") / "README.md").exists()


def _run(tmp_path: Path, weights: bytes, passed: bool) -> tuple[bool, Sequence[dg.AssetCheckEvaluation]]:
    @stage("train", kinds={"json"}, checks={"promoted": "As good as the one in use."})
    def model(data: DataFolder) -> Outcome:
        """Trained in no time."""
        considered = _consider(ModelVersions(data.path / "models" / "encoder"), weights, passed)
        return Outcome(considered.in_use, Rows(1, 1), considered.metadata, {"promoted": considered.check})

    @stage("search", kinds={"json"}, checks={})
    def index(data: DataFolder, model: Path) -> Outcome:
        """Notes with which version it was made."""
        (data.path / "index.txt").write_text(open_checkpoint(model, "detector")[1].version)
        return Outcome(data.path, Rows(1, 1))

    data = DataFolder(root=str(tmp_path))
    resources = {"data": data, "io_manager": ReferenceIOManager(data=data)}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([model, index], resources=resources, instance=instance, raise_on_error=False)
    return result.success, result.get_asset_check_evaluations()


def test_stage__search_goes_on_with_the_old_model(tmp_path: Path) -> None:
    assert not _run(tmp_path, b"broken", passed=False)[0]  # nothing to go on with
    assert not (tmp_path / "index.txt").exists()
    assert _run(tmp_path, b"good", passed=True)[0]
    good = (tmp_path / "index.txt").read_text()
    success, (check,) = _run(tmp_path, b"worse", passed=False)
    assert success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (tmp_path / "index.txt").read_text() == good
    assert _run(tmp_path, b"better", passed=True)[0]
    assert (tmp_path / "index.txt").read_text() != good
