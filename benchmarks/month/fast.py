"""The product's definitions, for days that take seconds: one process, and an hour's wait in a tenth of a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final

import dagster as dg
from dagster._utils.schedules import cron_string_iterator

from assets.resources import SandboxSites
from pipelines.definitions import build
from pipelines.environments import read_settings

ASKED: Final = "asked"
"""The job of some assets that a sensor or a person asks for; Dagster's own may not be made anew by its name."""
_RETRY_WAIT_S: Final = 0.1
"""The crawler's pause of an hour before it tries a failed post again; a night is longer."""
_DRAWN: Final = 300
"""Pictures that the detector learns from, a fifth of the demo's."""
_NOON: Final = 12  # o'clock, UTC: from one to the next is a night


class FastSites(SandboxSites):
    """The sandbox's sites, whose failed posts are due again on the next night although that is seconds away."""

    @contextmanager
    def crawler_options(self, site: str) -> Iterator[list[str]]:
        """See `SandboxSites`."""
        with super().crawler_options(site) as options:
            yield [*options, "--retry-wait", str(_RETRY_WAIT_S)]


@cache
def definitions() -> dg.Definitions:
    """All assets, jobs, schedules and sensors of the environment, with runs inside this process."""
    made = build(read_settings())
    resources = dict(made.resources or {})
    resources["sites"] = FastSites(**resources["sites"].model_dump())
    resources["sources"] = resources["sources"].model_copy(update={"drawn": _DRAWN})
    return dg.Definitions(
        assets=made.assets,
        jobs=[*(made.jobs or ()), dg.define_asset_job(ASKED, dg.AssetSelection.all())],
        schedules=made.schedules,
        sensors=made.sensors,
        resources=resources,
        executor=dg.in_process_executor,
    )


def job(name: str) -> dg.JobDefinition:
    """A job by its name."""
    return definitions().resolve_job_def(name)


def ticks(schedule: dg.ScheduleDefinition, night: date) -> list[datetime]:
    """When a schedule is due in the night that begins on a day, from noon to noon."""
    begin = datetime(night.year, night.month, night.day, _NOON, tzinfo=UTC)
    due: list[datetime] = []
    for at in cron_string_iterator(begin.timestamp(), str(schedule.cron_schedule), "UTC"):
        if at >= begin + timedelta(days=1):
            return due
        due.append(at)
    return due
