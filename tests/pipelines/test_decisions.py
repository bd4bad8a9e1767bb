"""What schedules and sensors decide, on data folders that hold nothing but what is asked about."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.io_manager import adopt
from assets.once import once
from assets.resources import DataFolder, Recipes
from curation.tables import write_json
from curation.versions import Versions
from models.promotion import CANDIDATE
from pipelines.decisions import FINISHED, changed, new_pairs, state_of, why_no_training
from pipelines.schedules import NIGHT_MINUTES, NIGHTLY, weekly_retraining
from pipelines.sensors import verdicts_and_takedowns


def _dataset(data: Path, pairs: int, fingerprint: str, added: int | None = None) -> None:
    versions = Versions(data / "pair_dataset")
    parent = versions.current.name if versions.current else None
    with versions.stage() as (name, folder):
        made = {"version": name, "rows": {"train": pairs - 2, "validation": 1, "test": 1}, "fingerprint": fingerprint}
        difference = {"added": pairs if added is None else added}
        write_json(folder / "manifest.json", {**made, "parents": {"version": parent}, "difference": difference})


def _trained_on(data: Path, fingerprint: str) -> None:
    candidate = data / "models" / CANDIDATE.format("encoder")
    once(candidate, {"config": {}, "data": fingerprint}, lambda: candidate.mkdir(parents=True, exist_ok=True))


def test_new_pairs__since_the_last_training(tmp_path: Path) -> None:
    assert new_pairs(tmp_path) is None
    _dataset(tmp_path, 700, "a")
    assert new_pairs(tmp_path) == 700
    _trained_on(tmp_path, "a")
    assert new_pairs(tmp_path) == 0
    _dataset(tmp_path, 950, "b", added=250)
    assert new_pairs(tmp_path) == 250
    _dataset(tmp_path, 600, "c", added=0)  # after a take-down
    assert new_pairs(tmp_path) == 250
    _dataset(tmp_path, 700, "d", added=100)
    assert new_pairs(tmp_path) == 350  # as many as then, but others
    Versions(tmp_path / "pair_dataset").remove("0002")
    assert new_pairs(tmp_path) == 0  # the way between the two is lost
    Versions(tmp_path / "pair_dataset").remove("0001")
    assert new_pairs(tmp_path) == 700


def test_new_pairs__are_no_more_than_there_are(tmp_path: Path) -> None:
    _dataset(tmp_path, 700, "a")
    _trained_on(tmp_path, "a")
    _dataset(tmp_path, 1700, "b", added=1000)
    _dataset(tmp_path, 300, "c", added=0)  # after a site was left out
    assert new_pairs(tmp_path) == 300


def test_new_pairs__of_a_version_before_the_one_that_was_learned_from(tmp_path: Path) -> None:
    _dataset(tmp_path, 700, "a")
    _dataset(tmp_path, 900, "b", added=200)
    _trained_on(tmp_path, "b")
    Versions(tmp_path / "pair_dataset").activate("0001")
    assert new_pairs(tmp_path) == 0


def test_why_no_training__says_how_many_are_missing(tmp_path: Path) -> None:
    assert "no pair dataset yet" in str(why_no_training(tmp_path, 100))
    _dataset(tmp_path, 700, "a")
    _trained_on(tmp_path, "a")
    assert why_no_training(tmp_path, 100) == "0 new pairs since the last training, 100 are wanted"
    _dataset(tmp_path, 800, "b", added=100)
    assert why_no_training(tmp_path, 100) is None


def test_weekly_retraining__skips_with_the_reason_or_runs(tmp_path: Path) -> None:
    def tick() -> Any:
        recipes = Recipes(profile="tiny", seed=0, floors={}, least_new_pairs=300)
        resources = {"data": DataFolder(root=str(tmp_path)), "recipes": recipes}
        return weekly_retraining(dg.build_schedule_context(resources=resources))

    _dataset(tmp_path, 700, "a")
    assert isinstance(tick(), dg.RunRequest)
    _trained_on(tmp_path, "a")
    assert tick().skip_message == "0 new pairs since the last training, 300 are wanted"


def test_nightly__configuration_is_what_the_assets_take() -> None:
    from pipelines.definitions import build
    from pipelines.environments import Settings

    definitions = build(Settings())
    for schedule in NIGHTLY:
        job = definitions.resolve_job_def(schedule.job_name)
        request = schedule.evaluate_tick(dg.build_schedule_context()).run_requests[0]
        assert dg.validate_run_config(job, request.run_config)
        (crawl,) = request.run_config["ops"].values()
        assert crawl["config"]["max_minutes"] == NIGHT_MINUTES


def _say(data: Path, file: str, line: str) -> None:
    path = data / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as out:
        out.write(line + "\n")


def test_changed__names_what_was_added(tmp_path: Path) -> None:
    empty = state_of(tmp_path)
    assert changed(None, empty) == []
    _say(tmp_path, "review/verdicts/a.jsonl", "{}")
    assert changed(None, state_of(tmp_path)) == changed(json.dumps(empty), state_of(tmp_path)) == ["verdicts"]
    _say(tmp_path, FINISHED, "{}")
    assert changed(json.dumps(empty), state_of(tmp_path)) == ["verdicts", "takedowns"]


@pytest.mark.parametrize(
    ("files", "job"),
    [
        (["review/verdicts/a.jsonl"], "republish"),
        ([FINISHED], "after_takedown"),
        ([FINISHED, "review/verdicts/a.jsonl"], "after_takedown"),
    ],
)
def test_verdicts_and_takedowns__asks_once(tmp_path: Path, files: list[str], job: str) -> None:
    def tick(cursor: str | None) -> Any:
        context = dg.build_sensor_context(cursor=cursor, resources={"data": DataFolder(root=str(tmp_path))})
        return verdicts_and_takedowns(context)

    for file in files:
        _say(tmp_path, file, "{}")
    adopt(tmp_path, "pair_dataset", tmp_path / "pair_dataset")
    asked = tick(None)
    assert [request.asset_selection for request in asked.run_requests] == [[dg.AssetKey("pair_dataset")]]
    assert [request.job_name for request in asked.run_requests] == [job]
    assert isinstance(tick(asked.cursor), dg.SkipReason)
    _say(tmp_path, files[0], "{}")
    assert tick(asked.cursor).run_requests[0].run_key != asked.run_requests[0].run_key


def test_verdicts_and_takedowns__makes_nothing_that_was_never_made(tmp_path: Path) -> None:
    _say(tmp_path, FINISHED, "{}")
    context = dg.build_sensor_context(resources={"data": DataFolder(root=str(tmp_path))})
    asked: Any = verdicts_and_takedowns(context)
    assert asked.run_requests == []
    assert asked.cursor == json.dumps(state_of(tmp_path))
