"""A worker is killed while it holds a pool's slot: the daemon, set up by our dagster.yaml, tries once more.

A run of the command line has no daemon that watches it: the next run frees the slot.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipelines.lost_worker import FOLDER

ROOT = Path(__file__).parents[2]
MODULE = "tests.pipelines.lost_worker"
PATIENCE_S = 240.0  # of a machine on which much else runs


def _until(ready: Callable[[], bool], running: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE_S
    while not ready():
        assert running.poll() is None, "it ended"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.2)


def _kill_first_try(home: Path, running: "subprocess.Popen[bytes]") -> None:
    """Kill the step of the first run, and the process that runs its steps."""
    noted = home / "try-0"
    _until(lambda: noted.exists() and bool(noted.read_text()), running)
    step, worker = map(int, noted.read_text().split())
    os.kill(worker, signal.SIGKILL)
    os.kill(step, signal.SIGKILL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster home with our own settings, in which monitoring looks every second."""
    settings = (ROOT / "dagster.yaml").read_text()
    settings, changed = re.subn(r"(poll_interval_seconds|free_slots_after_run_end_seconds): 30", r"\1: 1", settings)
    assert changed == 2
    (tmp_path / "dagster.yaml").write_text(settings)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


@pytest.fixture
def queued(home: Path) -> None:
    """A run in the queue before the daemon is there: two processes must not make the home's databases at once."""
    launch = [sys.executable, "-m", "dagster", "job", "launch", "-m", MODULE, "-j", "crawl_job"]
    done = subprocess.run(launch, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def daemon(home: Path, queued: None) -> Iterator["subprocess.Popen[bytes]"]:
    with (home / "daemon.log").open("wb") as log:
        command = [sys.executable, "-m", "dagster._daemon", "run", "-m", MODULE]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        yield process
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_lost_worker__its_slot_is_freed_and_the_run_tried_once_more(
    home: Path, daemon: "subprocess.Popen[bytes]"
) -> None:
    _kill_first_try(home, daemon)
    _until((home / "try-1").exists, daemon)


@pytest.mark.slow
def test_lost_worker__of_the_command_line_does_not_hold_up_the_next_run(home: Path) -> None:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*", "-m", MODULE]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _kill_first_try(home, first)
    first.wait()
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "try-1").exists()
