"""Which runs count as dead: those of this machine whose process is gone, and no others."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from pipelines.executor import WORKER, end_dead_runs, worker

GONE = 2**22 + 1  # above every process number of Linux


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def _started(instance: dg.DagsterInstance, host: str = "", **changed: object) -> str:
    """A run under way in this process, but for what is changed."""
    run_id = str(uuid.uuid4())
    of_run, here, pid, began = worker(run_id).split()
    noted = {"of_run": of_run, "host": host or here, "pid": pid, "began": began, **changed}
    tags = {WORKER: " ".join(map(str, noted.values()))}
    return instance.add_run(dg.DagsterRun("crawl", run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags)).run_id


def test_end_dead_runs__spares_what_runs_or_may_run_elsewhere(instance: dg.DagsterInstance) -> None:
    first = _started(instance)
    _started(instance, host="elsewhere", pid=GONE)
    _started(instance, of_run=first, pid=GONE)  # begun with the tags of another one, and not yet with its own
    instance.add_run(dg.DagsterRun("crawl", status=dg.DagsterRunStatus.STARTED))
    assert end_dead_runs(instance) == []


def test_end_dead_runs__bears_a_clock_that_is_put_right(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    _started(instance)
    booted = psutil.boot_time()
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted + 3600)
    assert end_dead_runs(instance) == []


def test_end_dead_runs__fails_those_whose_process_is_gone(instance: dg.DagsterInstance) -> None:
    gone, younger = _started(instance, pid=GONE), _started(instance, began=-3600)  # the number is another process's now
    assert set(end_dead_runs(instance)) == {gone, younger}
    for run_id in (gone, younger):
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.FAILURE
    assert end_dead_runs(instance) == []


def test_end_dead_runs__frees_the_slots_of_pools(instance: dg.DagsterInstance) -> None:
    slots = instance.event_log_storage
    slots.set_concurrency_slots("chromium", 1)
    dead = _started(instance, pid=GONE)
    assert slots.claim_concurrency_slot("chromium", dead, "crawl").is_claimed
    assert not slots.claim_concurrency_slot("chromium", "the next run", "crawl").is_claimed
    assert end_dead_runs(instance) == [dead]
    assert slots.claim_concurrency_slot("chromium", "the next run", "crawl").is_claimed


def test_end_dead_runs__one_that_was_being_cancelled(instance: dg.DagsterInstance) -> None:
    dead = _started(instance, pid=GONE)
    run = instance.get_run_by_id(dead)
    assert run is not None
    instance.report_run_canceling(run)
    assert end_dead_runs(instance) == [dead]


def test_end_dead_runs__one_that_nobody_has_waited_for(instance: dg.DagsterInstance) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the table of processes
    began = psutil.Process(process.pid).create_time() - psutil.boot_time()
    dead = _started(instance, pid=process.pid, began=began)
    assert end_dead_runs(instance) == [dead]
    process.wait()
