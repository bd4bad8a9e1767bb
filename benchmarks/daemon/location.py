"""The product's code location, in which a night lasts some minutes and a week seven nights."""

import os
from collections.abc import Sequence

import dagster as dg

from benchmarks.daemon import MINUTES
from pipelines.definitions import build
from pipelines.environments import read_settings


def _soon(schedule: dg.ScheduleDefinition, minutes: int) -> dg.ScheduleDefinition:
    """What a schedule asks for, every so many minutes."""

    @dg.schedule(
        f"*/{minutes} * * * *",
        name=schedule.name,
        job_name=schedule.job_name,
        required_resource_keys=schedule.required_resource_keys,
    )
    def soon(context: dg.ScheduleEvaluationContext) -> Sequence[dg.RunRequest] | dg.SkipReason:
        tick = schedule.evaluate_tick(context)
        return list(tick.run_requests or ()) or dg.SkipReason(tick.skip_message)

    return soon


def _located() -> dg.Definitions:
    made = build(read_settings())
    night = int(os.environ[MINUTES])
    schedules = [one for one in made.schedules or () if isinstance(one, dg.ScheduleDefinition)]
    return dg.Definitions(
        assets=made.assets,
        jobs=made.jobs,
        schedules=[_soon(one, night * (7 if one.name.startswith("weekly") else 1)) for one in schedules],
        sensors=made.sensors,
        executor=made.executor,
        resources=made.resources,
    )


defs = _located()
