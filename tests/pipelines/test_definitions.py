"""The code location: the graph is frozen, light to load, and documented."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

import assets
from assets import dedup, label, pairs, train
from assets.crawl import IN_TIME
from assets.promotion import PROMOTED
from pipelines.definitions import build
from pipelines.environments import Settings

SNAPSHOT = Path(__file__).with_name("graph.json")
STEP = re.compile(r'"([a-z_.]+):[A-Z]\w+"')  # as `Engine.map` is told of one
HEAVY = ("torch", "transformers", "scrapy", "playwright", "faiss", "datasets", "ray", "s3fs")


def _graph(definitions: dg.Definitions) -> dict[str, Any]:
    graph = definitions.resolve_asset_graph()
    assets = {
        node.key.to_user_string(): {
            "group": node.group_name,
            "after": sorted(parent.to_user_string() for parent in node.parent_keys),
            "checks": sorted(check.name for check in node.check_keys),
        }
        for node in graph.asset_nodes
    }
    repository = definitions.get_repository_def()
    return {
        "assets": dict(sorted(assets.items())),
        "jobs": sorted(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")),
        "schedules": {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs},
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    }


def test_graph__is_as_frozen() -> None:
    """After a wanted change: python -m tests.pipelines.test_definitions"""
    assert _graph(build(Settings())) == json.loads(SNAPSHOT.read_text())


def test_graph__full_profile_differs_only_by_the_truth() -> None:
    sandbox, full = (set(_graph(build(Settings(profile=name)))["assets"]) for name in ("sandbox", "full"))
    scores = {"detector_score", "classifier_score", "pair_score", "encoder_score"}
    assert sandbox - full == {"sandbox_truth", "run_report", *scores}
    assert not full - sandbox


def test_recipes__photos_are_framed_otherwise_than_drawn_people(tmp_path: Path) -> None:
    def recipe(kind: str = "detector", **settings: Any) -> dict[str, Any]:
        resources = build(Settings(**settings)).resources
        assert resources
        return resources["recipes"].config(kind)

    assert recipe()["crop_probability"] == 0
    for photos in ("street", "coco", "photos"):
        assert recipe(**{photos: tmp_path})["crop_probability"] > 0
        assert recipe("encoder", **{photos: tmp_path})["zoom"] > recipe("encoder")["zoom"]
    assert recipe(profile="full", street=tmp_path)["pretrained"]


def test_detection_dataset__of_real_sites_names_the_variable_that_is_missing(tmp_path: Path) -> None:
    resources = build(Settings(profile="full")).resources
    assert resources
    with pytest.raises(dg.Failure, match="set FASHION_MODANET or FASHION_FASHIONPEDIA") as failed:
        resources["sources"].build(tmp_path / "detection_dataset")
    assert not failed.value.allow_retries


def _config_fields() -> dict[str, Any]:
    """What can be set in the launchpad, as `asset.field`."""
    schemas = {
        key.to_user_string(): asset.op.config_schema.config_type
        for asset in build(Settings()).assets or ()
        if isinstance(asset, dg.AssetsDefinition)
        for key in asset.keys
    }
    return {
        f"{name}.{field}": told for name, of in schemas.items() for field, told in getattr(of, "fields", {}).items()
    }


def test_config__every_field_says_what_it_is() -> None:
    fields = _config_fields()
    assert {"encoder.measure", "pair_dataset.test", "pair_matches.dominance"} <= fields.keys()
    assert [name for name, field in fields.items() if not field.description] == []


def test_config__a_mistyped_measure_is_refused_before_the_training() -> None:
    from models.encoder.evaluate import MEASURES

    measure = _config_fields()["encoder.measure"].config_type
    assert {value.config_value for value in measure.enum_values} == set(MEASURES) - {"rank"}


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (train.Promotion, {"margin": -0.1}),
        (pairs.Splits, {"test": 1.5}),
        (pairs.Splits, {"exclude_sources": ["kraem"]}),
        (dedup.Hashing, {"mode": "quick"}),
        (pairs.Rules, {"least_lead": 2}),
        (pairs.Verifier, {"growth": -1}),
        (pairs.Verification, {"least_verification": 97}),
        (label.Thumbnails, {"least_probability": 50}),
    ],
)
def test_config__wrong_values_are_refused(config: type[dg.Config], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**values)


def test_graph__every_asset_explains_itself_and_has_a_blocking_check() -> None:
    for asset in build(Settings()).resolve_all_asset_specs():
        assert asset.description
        assert asset.kinds
        assert asset.owners
        assert "dagster/code_references" in asset.metadata
    graph = build(Settings()).resolve_asset_graph()
    for check in graph.asset_check_keys:
        assert graph.get(check).blocking == (check.name not in PROMOTED | IN_TIME)


def test_pools__of_browsers_and_of_what_two_runs_must_not_make_at_once() -> None:
    made = {asset.op.name: asset.op.pool for asset in build(Settings()).assets or () if hasattr(asset, "op")}
    assert {name: pool for name, pool in made.items() if pool} == {
        "onthelook_posts": "chromium",
        "kream_catalog": "chromium",
        "duplicate_clusters": "duplicates",
        "pair_dataset": "dataset",
    }


def test_automation__is_off_and_explains_itself() -> None:
    repository = build(Settings()).get_repository_def()
    for schedule in repository.schedule_defs:
        assert schedule.description
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    for sensor in repository.sensor_defs:
        assert sensor.description
        assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert [job.name for job in repository.get_all_jobs() if not (job.description or job.name.startswith("__"))] == []


def test_automation__never_trains() -> None:
    specs = {spec.key.to_user_string(): spec for spec in build(Settings()).resolve_all_asset_specs()}
    automatic = {name for name, spec in specs.items() if spec.automation_condition}
    assert {name for name in automatic if specs[name].tags["cost"] == "gpu"} == set()
    assert {"image_hashes", "pair_dataset"} <= automatic


def _asked_after(crawl: str) -> set[str]:
    """What the sensor asks for when one crawl is anew and everything but the dataset was made before."""
    definitions = build(Settings())
    graph = definitions.resolve_asset_graph()

    def report(instance: dg.DagsterInstance, key: dg.AssetKey) -> None:
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
        for check in graph.get(key).check_keys:
            evaluation = dg.AssetCheckEvaluation(check_name=check.name, asset_key=key, passed=True, metadata={})
            instance.report_runless_asset_event(evaluation)

    with dg.DagsterInstance.ephemeral() as instance:
        for key in (key for keys in graph.toposorted_asset_keys_by_level for key in keys):
            if key.to_user_string() != "pair_dataset":
                report(instance, key)
        first = dg.evaluate_automation_conditions(definitions, instance)
        report(instance, dg.AssetKey(crawl))
        then = dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor)
    return {key.to_user_string() for key in graph.get_all_asset_keys() if then.get_num_requested(key)}


def test_automation__a_new_crawl_asks_for_hashes_and_no_training() -> None:
    asked = _asked_after("kream_posts")
    assert "image_hashes" in asked
    assert asked.isdisjoint({"detector", "category_classifier", "pair_verifier", "encoder", "category_encoders"})


def test_automation__new_products_become_searchable_without_training() -> None:
    assert {"catalog_embeddings", "search_index"} <= _asked_after("kream_catalog")


@pytest.mark.slow
def test_loading__imports_nothing_heavy() -> None:
    code = f"import sys, pipelines.definitions; print([m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
def test_loading__nor_do_the_steps_of_shards() -> None:
    """A run that finds nothing new asks each step for its version only."""
    steps = {step for path in Path(assets.__path__[0]).glob("*.py") for step in STEP.findall(path.read_text())}
    assert len(steps) > 5
    code = f"import sys, importlib; [importlib.import_module(m) for m in {sorted(steps)}]; "
    code += f"print([m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_loading__wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASHION_POSTS", "many")
    result = subprocess.run(
        [sys.executable, "-c", "import pipelines.definitions"], capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "FASHION_POSTS" in result.stderr


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(_graph(build(Settings())), indent=1) + "\n")
