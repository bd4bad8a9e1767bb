"""The run at full size: which step comes next, what is taken over, what the rates say; its assets are stood in for."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines import scale as module
from pipelines.environments import Settings
from pipelines.scale import UNIT, Scale, ScaleError, clock_hours, rates, summary
from tests.curation.builders import candidate_row, candidates

Calls = list[tuple[tuple[str, ...], dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What was materialized, and with which blocks; every run takes 2 s a stage and makes ten rows a dataset."""
    made: Calls = []

    def materialize(environment: dict[str, str], assets: tuple[str, ...], *rest: Any) -> None:
        data = Path(environment["FASHION_DATA"])
        for name in assets:
            (data / "stages").mkdir(parents=True, exist_ok=True)
            (data / "stages" / f"{name}.json").write_text(json.dumps({"seconds": 2.0, "processor_seconds": 1.0}))
        if "pair_dataset" in assets:
            rows = [candidate_row(i) for i in range(10)]
            candidates(data / "pair_dataset", {f"{len(made):03d}": rows})
        made.append((assets, {name: op["config"]["blocks"] for name, op in rest[-1].get("ops", {}).items()}))

    monkeypatch.setattr(module, "_materialize", materialize)
    monkeypatch.setattr(module, "ensure_serving", lambda address: None)
    monkeypatch.setattr(module, "_server_seconds", lambda address: 5.0)
    return made


def _scale(tmp_path: Path, pairs: int = 32_000) -> Scale:
    for name in ("detector", "classifier"):
        (tmp_path / "data" / "models" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "models" / name / "manifest.json").write_text("{}")
    return Scale(Settings(data=tmp_path / "data"), pairs, tmp_path / "data-scale")


def test_run__steps_grow_and_the_rest_follows_at_four_times_the_posts(tmp_path: Path, calls: Calls) -> None:
    scale = _scale(tmp_path)
    scale.run(hours=1)
    assert scale.posts == 19 * UNIT
    assert calls[0][1] == {"kream_posts": "0-2", "onthelook_posts": "0-0"}
    assert calls[-1][1] == {"kream_posts": "54-56", "onthelook_posts": "18-18"}
    assert [step["posts"] // UNIT for step in scale.steps] == [*range(1, 17), 18, 19]
    assert [step["posts"] // UNIT for step in scale.steps if step["finished"]] == [1, 4, 16, 19]
    assert [("kream_catalog" in assets) for assets, _ in calls] == [True] + 17 * [False]


def test_run__leaves_the_tables_of_the_data_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environments: list[dict[str, str]] = []
    monkeypatch.setattr(module, "_materialize", lambda environment, *_: environments.append(environment) or 1 / 0)
    monkeypatch.setattr(module, "ensure_serving", lambda address: None)
    monkeypatch.setattr(module, "_server_seconds", lambda address: 5.0)
    settings = Settings(data=tmp_path / "data", tables="s3://bucket/shop/")
    with pytest.raises(ZeroDivisionError):  # the first run, which trains the models on a small world
        Scale(settings, 32_000, tmp_path / "data-scale").run(hours=1)
    assert environments[0]["FASHION_TABLES"] == "s3://bucket/shop-school"


def test_run__goes_on_after_its_time_is_over(tmp_path: Path, calls: Calls) -> None:
    for posts in (1, 2, 3):
        _scale(tmp_path).run(hours=0)
        assert _scale(tmp_path).steps[-1]["posts"] == min(posts, 1) * UNIT
    _scale(tmp_path).run(hours=1)
    assert _scale(tmp_path).steps[-1]["posts"] == 19 * UNIT
    assert calls[1][1] == {"kream_posts": "3-5", "onthelook_posts": "1-1"}


def test_run__stops_with_enough_pairs(tmp_path: Path, calls: Calls) -> None:
    scale = Scale(_scale(tmp_path).settings, 10, tmp_path / "data-scale")
    scale.run(hours=1)
    assert len(calls) == 1


def test_run__takes_models_over(tmp_path: Path, calls: Calls) -> None:
    scale = _scale(tmp_path)
    scale.run(hours=0)
    reference = json.loads((scale.folder / "references" / "category_classifier.json").read_text())
    assert scale.folder / reference["directory"] == scale.folder / "models" / "classifier"
    assert (scale.folder / "models" / "detector" / "manifest.json").is_file()


def test_run__takes_models_over_again_where_a_kill_cut_that_short(tmp_path: Path, calls: Calls) -> None:
    scale = _scale(tmp_path)
    for name in ("detector", "classifier"):
        (scale.folder / "models" / name).mkdir(parents=True)
    scale.run(hours=0)
    assert (scale.folder / "models" / "classifier" / "manifest.json").is_file()
    assert (scale.folder / "references" / "category_classifier.json").is_file()


def test_run__one_at_a_time(tmp_path: Path, calls: Calls) -> None:
    scale = _scale(tmp_path)
    scale.folder.mkdir()
    with (scale.folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ScaleError, match="process is at work"):
            scale.run(hours=1)


def test_again__all_of_it_and_no_step_of_its_own(tmp_path: Path, calls: Calls) -> None:
    scale = _scale(tmp_path)
    with pytest.raises(ScaleError, match="no step was done yet"):
        scale.again()
    scale.run(hours=1)
    steps = [{**step, "seconds": 100.0} for step in scale.steps]
    (scale.folder / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    figures = scale.again()
    assets, blocks = calls[-1]
    assert blocks == {"kream_posts": "0-56", "onthelook_posts": "0-18"}
    assert set(assets) == {name for made, _ in calls[:-1] for name in made} - {"kream_catalog"}
    assert scale.steps == steps
    assert figures["first_seconds"] == 1800
    assert figures["share"] == pytest.approx(figures["again_seconds"] / 1800, abs=1e-4)


def test_rates__reckon_what_is_left(tmp_path: Path, calls: Calls) -> None:
    scale = _scale(tmp_path)
    scale.run(hours=1)
    steps = [{**step, "seconds": 30.0} for step in scale.steps if step["posts"] <= 5 * UNIT]
    table = rates(steps, 8 * UNIT)
    assert table["image_hashes"]["processor"] == pytest.approx(5 / 3600)
    assert table["image_hashes"]["processor_ahead"] == pytest.approx(8 / 3600)
    assert table["candidate_pairs"]["clock"] == pytest.approx(2 * 2 / 3600)
    assert table["candidate_pairs"]["clock_ahead"] == pytest.approx(2 / 4 * (1 + 4 + 8) / 3600)
    assert table["pair_verifier"]["clock_ahead"] == pytest.approx(2 * 3 / 3600)
    made_anew = 5 * 2  # stages, each twice for 2 s
    crawled = (5 * 30 - made_anew * 2) * 8 / 5
    assert clock_hours(steps, 8 * UNIT) == pytest.approx((crawled + 4 * 2 / 4 * (1 + 4 + 8) + 2 * 3) / 3600)
    assert json.loads(summary(scale).splitlines()[-1])["posts"] == scale.posts
