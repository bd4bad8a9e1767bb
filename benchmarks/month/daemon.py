"""`python -m benchmarks.month.daemon`: what Dagster's daemon does in a night, asked for by lines of JSON.

A night is evaluated tick by tick: each schedule that is due, then the sensors until none asks for anything. Cursors are
kept on disk, as Dagster keeps them, so that a daemon that is killed is followed by one that goes on. Retries of a step
are left out: they would wait for minutes on an outage that lasts the night.
"""

import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import psutil
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor

from benchmarks.month.fast import ASKED, definitions, ticks
from crawlers.process import die_with_parent
from curation.tables import write_json

_ASKED_MOST: Final = 10  # times in a row; then the sensors never come to rest
_NO_RETRIES: Final[dict[str, Any]] = {"execution": {"config": {"retries": {"disabled": {}}}}}
_UNENDED: Final = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


class RestlessError(Exception):
    """Raised when the sensors ask for runs without end."""


@dataclass(frozen=True)
class Ran:
    """One run and how it ended."""

    job: str
    steps: list[str]
    failed: dict[str, str]  # step → why


class Daemon:
    """Evaluates ticks and makes the runs that they ask for.

    Args:
        instance: Dagster's, kept on disk.
        cursors: file of what the sensors have seen.
        schedules: names of those that are switched on; None: all.
    """

    def __init__(self, instance: dg.DagsterInstance, cursors: Path, schedules: list[str] | None = None) -> None:
        self._instance = instance
        self._file = cursors
        self._cursors: dict[str, Any] = json.loads(cursors.read_text()) if cursors.is_file() else {}
        self._schedules = [
            one
            for one in definitions().schedules or ()
            if isinstance(one, dg.ScheduleDefinition) and (schedules is None or one.name in schedules)
        ]

    def night(self, day: date) -> dict[str, Any]:
        """All ticks from noon to noon; the runs, why a schedule started none, and this process's memory in bytes."""
        self._bury()
        runs = list(self._sensors()) if not self._cursors else []  # switched on before the first night
        skipped: dict[str, str] = {}
        due = sorted((at, place) for place, one in enumerate(self._schedules) for at in ticks(one, day))
        for number, (at, place) in enumerate(due):
            tick = self._tick(self._schedules[place], at)
            if tick.skip_message:
                skipped[self._schedules[place].name] = tick.skip_message
            runs += [self._run(self._schedules[place].job_name, request) for request in tick.run_requests or ()]
            if number + 1 == len(due) or (due[number + 1][0] - at).seconds > 3600:  # the crawls run side by side
                runs += self._sensors()
        gc.collect()
        self._tell()
        memory = psutil.Process().memory_info().rss
        return {"runs": [asdict(run) for run in runs], "skipped": skipped, "memory": memory}

    def again(self) -> dict[str, int]:
        """Make everything that needs no training once more: asset → shards that were not up to date."""
        automatic = dg.AssetSelection.tag("trigger", "automatic").resolve(definitions().resolve_asset_graph())
        conditions = [key for key in automatic if self._instance.get_latest_materialization_event(key)]
        run = self.run(ASKED, *(key.to_user_string() for key in conditions))
        if run.failed:
            raise RestlessError(f"a last run of {run.steps} failed: {run.failed}")
        events = ((key.to_user_string(), self._instance.get_latest_materialization_event(key)) for key in conditions)
        made = {name: _metadata(event).get("shards_made") for name, event in events}
        return {name: int(count.value) for name, count in made.items() if count is not None}

    def run(self, name: str, *assets: str) -> Ran:
        """Run a job, as somebody does who clicks on it; of some assets, if they are named."""
        keys = [dg.AssetKey(asset) for asset in assets]
        return self._run(name, dg.RunRequest(asset_selection=keys or None))

    def _tick(self, schedule: dg.ScheduleDefinition, at: datetime) -> Any:
        resources = dict(definitions().resources or {})
        wanted = {name: resources[name] for name in schedule.required_resource_keys}
        return schedule.evaluate_tick(
            dg.build_schedule_context(
                instance=self._instance,
                scheduled_execution_time=at,
                resources=wanted or None,
            )
        )

    def _sensors(self) -> Iterator[Ran]:
        """Evaluate them until they ask for nothing more."""
        for _ in range(_ASKED_MOST):
            requests = [*self._people(), *self._middle_stages()]
            if not requests:
                return
            for name, request in requests:
                yield self._run(name, request)
        raise RestlessError(f"the sensors asked {_ASKED_MOST} times in a row, the last time for {requests}")

    def _people(self) -> list[tuple[str, dg.RunRequest]]:
        """What the sensor of verdicts and take-downs asks for."""
        from pipelines.sensors import verdicts_and_takedowns as sensor

        resources = {"data": dict(definitions().resources or {})["data"]}
        context = dg.build_sensor_context(self._instance, self._cursors.get(sensor.name), resources=resources)
        answer = sensor(context)
        if not isinstance(answer, dg.SensorResult):
            return []
        self._keep(sensor.name, answer.cursor)
        return [(str(request.job_name), request) for request in answer.run_requests or ()]

    def _middle_stages(self) -> list[tuple[str, dg.RunRequest]]:
        """What the automation conditions of the assets ask for."""
        name, known = "middle_stages", self._cursors.get("middle_stages")
        made = definitions()
        asked = dg.evaluate_automation_conditions(
            made, self._instance, cursor=dg.deserialize_value(known, AssetDaemonCursor) if known else None
        )
        self._keep(name, dg.serialize_value(asked.cursor))
        keys = [key for key in made.resolve_all_asset_keys() if asked.get_num_requested(key)]
        return [(ASKED, dg.RunRequest(asset_selection=sorted(keys)))] if keys else []

    def _run(self, name: str, request: dg.RunRequest) -> Ran:
        chosen = list(request.asset_selection) if request.asset_selection else None
        result = dg.execute_job(
            dg.build_reconstructable_job("benchmarks.month.fast", "job", (name,)),
            self._instance,
            run_config={**request.run_config, **_NO_RETRIES},
            tags=request.tags,
            asset_selection=chosen,
        )
        steps = [event.step_key for event in result.all_events if event.is_step_start and event.step_key]
        failed = {str(event.step_key): _why(event) for event in result.all_events if event.is_step_failure}
        return Ran(name, steps, failed)

    def _bury(self) -> None:
        """What run monitoring does with the runs of a daemon that was killed: they failed, and their slots are free."""
        for run in self._instance.get_runs(dg.RunsFilter(statuses=_UNENDED)):
            self._instance.report_run_failed(run, "the process of the run was killed")
            with suppress(NotImplementedError):
                self._instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)

    def _tell(self) -> None:
        """Evaluate the sensor of failures for every run that failed since it was evaluated last."""
        sensor = next(one for one in definitions().sensors or () if one.name == "failures")
        seen = set(self._cursors.get("failures", []))
        failed = self._instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        for run in (run for run in failed if run.run_id not in seen):
            records = self._instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
            event = records[-1].event_log_entry.get_dagster_event()
            context = dg.build_run_status_sensor_context("failures", event, self._instance, run)
            told: Any = sensor(context.for_run_failure())
            list(told)
        self._keep("failures", [run.run_id for run in failed])

    def _keep(self, sensor: str, cursor: Any) -> None:
        self._cursors[sensor] = cursor
        write_json(self._file, self._cursors)


def _metadata(event: Any) -> Any:
    return event.asset_materialization.metadata if event and event.asset_materialization else {}


def _why(event: Any) -> str:
    """What a step says of its failure, else the innermost error's message; in one line."""
    said = event.event_specific_data.user_failure_data
    if said and said.description:
        return " ".join(said.description.split())
    error = event.event_specific_data.error
    while error.cause:
        error = error.cause
    return " ".join(error.message.split())


def main() -> None:
    """Answer every line of standard input by one of standard output; what else is printed goes to standard error."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with dg.DagsterInstance.get() as instance:
        daemon = Daemon(instance, Path(os.environ["DAGSTER_HOME"]) / "cursors.json", sys.argv[1:] or None)
        for line in sys.stdin:
            print(json.dumps(_answer(daemon, **json.loads(line))), file=answers, flush=True)


def _answer(daemon: Daemon, night: str = "", job: str = "", select: Sequence[str] = ()) -> dict[str, Any]:
    """What a request gives: a night by its day, a job (of some assets) by its name, or everything once more."""
    if night:
        return daemon.night(date.fromisoformat(night))
    return {"runs": [asdict(daemon.run(job, *select))]} if job else daemon.again()


if __name__ == "__main__":
    main()
