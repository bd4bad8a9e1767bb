"""No crawl outlives the process of its run, however that dies."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest


def _wait(until: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not until() and time.monotonic() < deadline:
        time.sleep(0.1)
    return until()


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_step__ends_with_a_run_worker_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    noted = tmp_path / "pids"
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", "tests.assets.orphans", str(tmp_path)]
        run = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        assert _wait(lambda: noted.is_file() and " " in noted.read_text(), 60), (tmp_path / "log").read_text()[-4000:]
        step, child = (psutil.Process(int(pid)) for pid in noted.read_text().split())
        assert _alive(step)
        assert step.pid != run.pid
        run.send_signal(signal.SIGKILL)
        assert _wait(lambda: not _alive(step) and not _alive(child), 20)
    finally:
        run.kill()
        run.wait()
