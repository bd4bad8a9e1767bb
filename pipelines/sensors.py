"""Sensors: verdicts and take-downs, failed runs, and the cheap middle stages. All start stopped."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from assets.io_manager import reference_of
from assets.resources import DataFolder
from pipelines.decisions import changed, state_of
from pipelines.jobs import OUT_OF_DATE, REPUBLISHED, after_takedown, republish
from pipelines.webhook import failure_body, send

_JOB_AFTER = {"takedowns": "after_takedown", "verdicts": "republish"}
_ASSETS_AFTER = {"takedowns": OUT_OF_DATE, "verdicts": REPUBLISHED}


@dg.sensor(
    jobs=[republish, after_takedown],
    minimum_interval_seconds=600,
    description="Every ten minutes: new verdicts publish a dataset version, take-downs make anew what held it.",
)
def verdicts_and_takedowns(context: dg.SensorEvaluationContext, data: DataFolder) -> dg.SensorResult | dg.SkipReason:
    """Ask for what depends on what people said since the last tick."""
    now = state_of(data.path)
    names = changed(context.cursor, now)
    if not names:
        return dg.SkipReason("no new verdict and no new take-down")
    if "takedowns" in names:
        names = ["takedowns"]  # publishes the dataset too
    requests = [
        dg.RunRequest(run_key=f"{name}:{now[name]}", job_name=_JOB_AFTER[name], asset_selection=made)
        for name in names
        if (made := _made(data.path, _ASSETS_AFTER[name]))
    ]
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(now))


def _made(data: Path, assets: Sequence[str]) -> list[dg.AssetKey]:
    """Those that were ever made: what was not holds nothing of what people said, and may lack what it is made from."""
    return [dg.AssetKey(name) for name in assets if reference_of(data, dg.AssetKey(name)).is_file()]


def failures(webhook: str) -> dg.SensorDefinition:
    """The sensor that tells a webhook of failed runs."""

    @dg.run_failure_sensor(
        name="failures",
        description="Tells the webhook in FASHION_WEBHOOK that a run failed: job, run and steps, no message.",
    )
    def sensor(context: dg.RunFailureSensorContext) -> Iterator[dg.SkipReason]:
        if not webhook:
            yield dg.SkipReason("FASHION_WEBHOOK is not set")
            return
        steps = sorted({event.step_key for event in context.get_step_failure_events() if event.step_key})
        run = context.dagster_run
        if problem := send(webhook, failure_body(run.job_name, run.run_id, steps)):
            context.log.warning(f"the webhook was not told of run {run.run_id}: {problem}")

    return sensor


middle_stages = dg.AutomationConditionSensorDefinition(
    "middle_stages",
    target=dg.AssetSelection.all(),
    description="Makes hashes, crops, categories, matches, the dataset, vectors of the catalog and the index when what "
    "they are made from has changed. It trains nothing.",
)


def sensors(webhook: str) -> list[dg.SensorDefinition]:
    """All of them."""
    return [verdicts_and_takedowns, failures(webhook), middle_stages]
