"""The daemon as a process of its own: asked for a night, watched while it works, killed or started anew."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

_LOOK_S: Final = 0.02  # between two looks at what the daemon has done


class MonthError(Exception):
    """Raised when the daemon ends without being told to, or a command of the operator fails."""


class DaemonProcess:
    """Starts `benchmarks.month.daemon` when it is needed.

    Args:
        environment: with `DAGSTER_HOME` and the settings.
        log: file that takes what the daemon prints.
        schedules: names of those that are switched on; none: all.
    """

    def __init__(self, environment: Mapping[str, str], log: Path, schedules: Sequence[str] = ()) -> None:
        self._environment = dict(environment)
        self._log = log
        self._command = [sys.executable, "-m", "benchmarks.month.daemon", *schedules]
        self._process: subprocess.Popen[str] | None = None
        self.kill_when: Callable[[], bool] | None = None
        """Asked again and again while the daemon works; it is killed when this says so, and then never again."""

    def ask(self, **request: object) -> dict[str, Any] | None:
        """What the daemon answers to a request, see `benchmarks.month.daemon.main`; None when it was killed.

        Raises:
            MonthError: see there.
        """
        process = self._started()
        stdin, stdout = _pipes(process)
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        while not select.select([stdout], [], [], _LOOK_S)[0]:
            if self.kill_when and self.kill_when():
                self.kill_when = None
                process.kill()
                self.stop()
                return None
        answer = stdout.readline()
        if not answer:
            raise MonthError(f"the daemon ended with status {process.wait()}: see {self._log}")
        return dict(json.loads(answer))

    def stop(self) -> None:
        """Let it end."""
        if self._process is not None:
            for pipe in _pipes(self._process):
                pipe.close()
            self._process.wait()
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            with self._log.open("a") as log:
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        return self._process


def own_environment(data: Path, home: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """The environment of the month: no setting but its own."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("FASHION_", "DAGSTER_"))}
    own = {f"FASHION_{name.upper()}": str(value) for name, value in settings.items()}
    threads = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return {**others, **own, **threads, "FASHION_DATA": str(data), "DAGSTER_HOME": str(home)}


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise MonthError("the daemon has no pipes")
    return process.stdin, process.stdout
