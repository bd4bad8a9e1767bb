"""What the gate decides is what later stages get: through Dagster, with checkpoints that took no training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager
from assets.promotion import PROMOTED, Considered, consider, promoted
from assets.resources import DataFolder, Recipes
from assets.stage import Check, Outcome, Rows, stage
from models.card import Result
from models.checkpoint import open_checkpoint
from models.commands import main
from models.errors import MetricError
from models.promotion import ModelVersions, Verdict
from tests.models.test_checkpoint import save

RESULT: Result = {"dataset": "abc", "split": "test", "metrics": {"r@1": 0.5}}


def _consider(versions: ModelVersions, weights: bytes, passed: bool, *, enforce: bool = True) -> Considered:
    candidate = versions.link.with_name("candidate")
    save(candidate, weights)
    verdict = Verdict(passed, f"passed: {passed}")
    return consider(versions, candidate, lambda _: (verdict, RESULT), enforce=enforce, keep=1)


@pytest.fixture
def versions(tmp_path: Path) -> ModelVersions:
    return ModelVersions(tmp_path / "models" / "encoder")


def test_consider__refused_one_leaves_the_old_in_use_and_warns(versions: ModelVersions) -> None:
    first = _consider(versions, b"one", passed=True)
    assert (first.in_use, first.check.passed) == (versions.folder / "0001", True)
    second = _consider(versions, b"two", passed=False)
    assert second.in_use == versions.link.resolve() == first.in_use
    assert not second.check.passed
    assert second.check.description == "0002 refused: passed: False; in use: 0001"
    assert "| 0002 | refused | gate | passed: False | 0001 |" in second.metadata["ledger"].value
    third = _consider(versions, b"three", passed=True)
    assert (third.in_use, third.check.passed) == (versions.folder / "0003", True)


def test_consider__first_refused_one_is_not_used(versions: ModelVersions) -> None:
    refused = _consider(versions, b"one", passed=False)
    assert (refused.in_use, refused.check.passed) == (None, False)
    assert not versions.link.exists()


def test_consider__decides_once_so_that_a_rollback_lasts(versions: ModelVersions) -> None:
    _consider(versions, b"one", passed=True)
    _consider(versions, b"two", passed=True)
    versions.rollback("complaints")
    again = _consider(versions, b"two", passed=True)
    assert again.in_use == versions.folder / "0001"
    assert [row["decision"] for row in versions.ledger()] == ["promoted", "promoted", "rolled back"]


def test_consider__open_gate_and_old_versions(versions: ModelVersions) -> None:
    for weights in (b"one", b"two", b"three", b"four"):
        considered = _consider(versions, weights, passed=False, enforce=False)
    assert considered.check.passed
    assert versions.names == ["0003", "0004"]  # the newest, and the one to return to
    assert versions.ledger()[-1]["reason"] == "gates are off; passed: False"


def test_consider__what_was_measured_is_on_the_card(versions: ModelVersions) -> None:
    in_use = versions.folder / "0001"
    assert _consider(versions, b"one", passed=True).in_use == in_use
    assert "| abc, test | r@1 | 0.5 |" in (in_use / "README.md").read_text()
    assert not (versions.link.with_name("candidate") / "README.md").exists()


def _weigh(in_use: Path | None, passed: bool) -> tuple[Verdict, Result | None]:
    if not passed:
        raise MetricError("too few to tell")
    return Verdict(True, "good" if in_use is None else "better"), RESULT


Checks = dict[str, dg.AssetCheckEvaluation]


class Chain:
    """A model, and an index that notes of which one it was made, in one Dagster instance."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.noted = folder / "index.txt"
        self._instance = instance
        self._data = DataFolder(root=str(folder))
        self._cursor: dg.AssetDaemonCursor | None = None

    def run(
        self, weights: bytes, *, learned: bool = True, passed: bool = True, only_model: bool = False
    ) -> tuple[bool, Checks]:
        """Materialize; whether all went well, and the checks by name."""
        result = dg.materialize(
            self._assets(weights, learned, passed),
            resources=self._resources,
            instance=self._instance,
            raise_on_error=False,
            selection=["model"] if only_model else None,
        )
        return result.success, {check.check_name: check for check in result.get_asset_check_evaluations()}

    def follow(self) -> None:
        """Materialize what follows from the model, and that alone."""
        assets = self._assets(b"", learned=True, passed=True)
        dg.materialize(assets, resources=self._resources, instance=self._instance, selection=["index"])

    def asked(self) -> int:
        """How many assets the sensor of automation conditions would make now."""
        definitions = dg.Definitions(self._assets(b"", learned=True, passed=True), resources=self._resources)
        result = dg.evaluate_automation_conditions(definitions, self._instance, cursor=self._cursor)
        self._cursor = result.cursor
        return result.total_requested

    @property
    def _resources(self) -> dict[str, Any]:
        recipes = Recipes(profile="tiny", seed=1, floors={})
        return {"data": self._data, "recipes": recipes, "io_manager": ReferenceIOManager(data=self._data)}

    @staticmethod
    def _assets(weights: bytes, learned: bool, passed: bool) -> list[dg.AssetsDefinition]:
        @stage("train", kinds={"json"}, checks={"learned": "Above its floor."}, warnings=PROMOTED)
        def model(data: DataFolder, recipes: Recipes) -> Outcome:
            """Trained in no time."""
            candidate = data.path / "models" / "candidate"
            save(candidate, weights)
            trained = Outcome(candidate, Rows(1, 1), {}, {"learned": Check(learned, "r@1 0.1, floor 0.2")})
            return promoted(trained, "detector", data, recipes, lambda in_use: _weigh(in_use, passed))

        @stage("search", kinds={"json"}, checks={}, automatic=True)
        def index(data: DataFolder, model: Path) -> Outcome:
            """Notes with which version it was made."""
            (data.path / "index.txt").write_text(open_checkpoint(model, "detector")[1].version)
            return Outcome(data.path, Rows(1, 1))

        return [model, index]


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Chain(tmp_path, instance)


def test_promoted__without_a_model_in_use_nothing_follows(chain: Chain) -> None:
    success, checks = chain.run(b"broken", learned=False)
    assert not success
    assert not chain.noted.exists()
    assert checks["learned"].severity == dg.AssetCheckSeverity.ERROR
    assert "0001 refused: r@1 0.1, floor 0.2; in use: none" in str(checks["learned"].description)


@pytest.mark.parametrize("worse", [{"learned": False}, {"passed": False}], ids=["below its floor", "by the gate"])
def test_promoted__what_follows_goes_on_with_the_old_model(chain: Chain, worse: dict[str, bool]) -> None:
    assert chain.run(b"good")[0]
    good = chain.noted.read_text()
    success, checks = chain.run(b"worse", **worse)
    assert success
    assert (checks["promoted"].passed, checks["promoted"].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert checks["learned"].passed  # a good one is in use
    assert chain.noted.read_text() == good
    assert chain.run(b"better")[0]
    assert chain.noted.read_text() != good


def test_promoted__a_refusal_does_not_hold_what_runs_by_itself(chain: Chain) -> None:
    assert chain.run(b"good")[0]
    assert chain.asked() == 0
    chain.run(b"worse", passed=False, only_model=True)
    assert chain.asked() == 1


def test_promoted__what_follows_gets_the_model_to_which_a_command_switched(chain: Chain, tmp_path: Path) -> None:
    assert chain.run(b"good")[0]
    good = chain.noted.read_text()
    assert chain.run(b"better")[0]
    assert main(["rollback", "--kind", "detector", "--data", str(tmp_path), "--reason", "complaints"]) == 0
    chain.follow()
    assert chain.noted.read_text() == good
    assert main(["promote", "0002", "--kind", "detector", "--data", str(tmp_path), "--reason", "none now"]) == 0
    chain.follow()
    assert chain.noted.read_text() != good
