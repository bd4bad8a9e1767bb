"""The executor: steps as processes. Before its own steps, a run ends what runs that were killed left behind.

Dagster's daemon does so for the runs that it started. A run of the command line has nobody who watches it: killed, or
its terminal closed, it would count as under way and hold its slots of pools for ever, and every later run would wait.
"""

import os
import socket
from collections.abc import Iterator
from typing import Any, Final

import dagster as dg
import psutil

WORKER: Final = "fashion/worker"
"""Tag of a run: its id, and host, number and start (s since boot) of the process that runs its steps."""
_MULTIPROCESS: Final[Any] = dg.multiprocess_executor
_UNDER_WAY: Final = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
_SAME_S: Final = 2.0  # between two readings of one start


class _AfterTheDead(dg.Executor):
    """Another executor, once the slots of dead runs are free."""

    def __init__(self, executor: dg.Executor) -> None:
        self._executor = executor

    @property
    def retries(self) -> Any:
        """As the other one's."""
        return self._executor.retries

    @property
    def step_dependency_config(self) -> Any:
        """As the other one's."""
        return self._executor.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Run the steps."""
        instance = plan_context.instance
        instance.add_run_tags(plan_context.run_id, {WORKER: worker(plan_context.run_id)})
        end_dead_runs(instance)
        yield from self._executor.execute(plan_context, execution_plan)


def worker(run_id: str) -> str:
    """This process, as other processes of the machine can look for it."""
    return f"{run_id} {socket.gethostname()} {os.getpid()} {_began(psutil.Process()):.1f}"


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs under way whose process on this machine is gone, and free their slots of pools; their ids."""
    under_way = instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY))
    dead = [run for run in under_way if WORKER in run.tags and not _may_live(run)]
    for run in dead:
        instance.report_run_failed(run, "its process was killed; materialize again to go on where it was")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _may_live(run: dg.DagsterRun) -> bool:
    """Whether the process that a run's tag names runs, or may run on another machine."""
    of_run, host, pid, began = run.tags[WORKER].split()
    if host != socket.gethostname() or of_run != run.run_id:  # a run that repeats another one begins with its tags
        return True
    try:
        process = psutil.Process(int(pid))
        ended = process.status() == psutil.STATUS_ZOMBIE
        return not ended and abs(_began(process) - float(began)) < _SAME_S
    except psutil.NoSuchProcess:
        return False


def _began(process: psutil.Process) -> float:
    """Seconds from the machine's start to the process's: a clock that is put right does not change them."""
    booted = psutil.boot_time()
    return process.create_time() - booted


def _create(context: dg.InitExecutorContext) -> dg.Executor:
    return _AfterTheDead(_MULTIPROCESS.executor_creation_fn(context))


processes: Final = dg.ExecutorDefinition(
    name="processes",
    config_schema=_MULTIPROCESS.config_schema,
    requirements=dg.multiple_process_executor_requirements(),
    executor_creation_fn=_create,
    description="Dagster's multiprocess executor, with its configuration.",
)
