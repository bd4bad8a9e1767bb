"""Does the memory of Dagster's own processes grow over a month? `dagster dev` with everything switched on.

Nights last minutes. In each the sandbox shows new posts, every schedule and sensor runs as it does for an operator who
switched them all on, and somebody looks at the runs. Before the first night everything is made once.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import linear_regression, median
from typing import Any, Final

import psutil

from benchmarks.daemon import MINUTES
from benchmarks.month.nights import own_environment
from benchmarks.month.world import GrowingWorld
from sandbox.sites.server import ServeOptions, serving
from sandbox.world import World

_LOCATION: Final = ("-m", "benchmarks.daemon.location")
_PROCESSES: Final = {"daemon": "dagster._daemon", "web server": "dagster_webserver", "code server": "api grpc"}
"""Process of `dagster dev` → what its command line has."""
_LEAST_NIGHTS: Final = 3  # the last two thirds of which are two
_LOOK_S: Final = 5.0
_START_S: Final = 180.0
_MIB: Final = 2**20
_SELECTOR: Final = {"repositoryName": "__repository__", "repositoryLocationName": "benchmarks.daemon.location"}
_INSTIGATORS: Final = """query($repository: RepositorySelector!) { repositoryOrError(repositorySelector: $repository) {
  ... on Repository { schedules { name } sensors { name } } } }"""
_SCHEDULE: Final = """mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) {
  ... on ScheduleStateResult { scheduleState { status } } ... on PythonError { message } } }"""
_SENSOR: Final = """mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  ... on Sensor { name } ... on PythonError { message } } }"""
_RUNS: Final = "{ runsOrError { ... on Runs { results { jobName status } } } }"


class DevError(Exception):
    """Raised when `dagster dev` does not start, ends, or refuses what it is asked."""


class Dev:
    """`dagster dev` as a child, and its web server as a person uses it."""

    def __init__(self, environment: Mapping[str, str], port: int, log: Path) -> None:
        command = [sys.executable, "-m", "dagster", "dev", *_LOCATION, "-h", "127.0.0.1", "-p", str(port)]
        with log.open("a") as out:
            self._process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        self._address, self._log = f"http://127.0.0.1:{port}/graphql", log

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """What GraphQL answers. Raises `DevError` for errors."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self._address, body, {"content-type": "application/json"})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - loopback
            answer: dict[str, Any] = json.load(response)
        if "errors" in answer or "message" in next(iter(answer["data"].values())):
            raise DevError(json.dumps(answer))
        return dict(answer["data"])

    def switch_everything_on(self) -> None:
        """Start every schedule and sensor, as their switches in the UI do."""
        made = self.ask(_INSTIGATORS, repository=_SELECTOR)["repositoryOrError"]
        for name in (one["name"] for one in made["schedules"]):
            self.ask(_SCHEDULE, selector={**_SELECTOR, "scheduleName": name})
        for name in (one["name"] for one in made["sensors"]):
            self.ask(_SENSOR, selector={**_SELECTOR, "sensorName": name})

    def runs(self) -> Counter[str]:
        """How many there are of each status."""
        return Counter(run["status"].lower() for run in self.ask(_RUNS)["runsOrError"]["results"])

    def wait(self) -> None:
        """Until the web server answers. Raises `DevError` when it does not."""
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError):
                self.ask(_RUNS)
                return
            time.sleep(1.0)
        raise DevError(f"dagster dev does not answer: see {self._log}")

    def memory(self) -> dict[str, int]:
        """Resident bytes of each of its processes. Raises `DevError` when one has ended; runs are none of them."""
        found: dict[str, int] = {}
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                line, bytes_ = " ".join(process.cmdline()), process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            for name in (name for name, part in _PROCESSES.items() if part in line and name not in found):
                found[name] = bytes_
        if missing := _PROCESSES.keys() - found.keys():
            raise DevError(f"{', '.join(sorted(missing))}: not running, see {self._log}")
        return found

    def stop(self) -> None:
        """End it, as Ctrl-C does, and whatever of it is still there a minute later."""
        parts = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGINT)
        _, left = psutil.wait_procs([psutil.Process(self._process.pid), *parts], timeout=60)
        for process in left:
            process.kill()


@contextmanager
def _dev(environment: Mapping[str, str], port: int, log: Path) -> Iterator[Dev]:
    dev = Dev(environment, port, log)
    try:
        dev.wait()
        dev.switch_everything_on()
        yield dev
    finally:
        dev.stop()


def _night(dev: Dev, minutes: int) -> dict[str, float]:
    """Let a night pass; the middle of what each process held, MiB."""
    end, seen = time.monotonic() + 60 * minutes, []
    while time.monotonic() < end:
        seen.append(dev.memory())
        dev.ask(_RUNS)
        time.sleep(_LOOK_S)
    return {name: median(one[name] for one in seen) / _MIB for name in _PROCESSES}


def main() -> int:
    """Print a line for each night, and the figures as JSON; exit status 1 when a run failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.daemon", description=__doc__)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--minutes", type=int, default=2, help="that a night lasts")
    parser.add_argument("--first-night", type=int, default=200, help="posts that are there then")
    parser.add_argument("--posts-per-night", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--effort", type=float, default=0.1, help="share of the recipes' training steps")
    parser.add_argument("--retrain-pairs", type=int, default=60, help="new ones for which a training runs")
    parser.add_argument("--port", type=int, default=8720, help="of the sandbox's KREAM; the UI is two further")
    options = parser.parse_args()
    if options.nights < _LEAST_NIGHTS:
        parser.error(f"--nights: at least {_LEAST_NIGHTS}, through which a line can be laid")
    folder = Path(tempfile.mkdtemp(prefix="fashion-daemon-"))
    posts = options.first_night + options.nights * options.posts_per_night
    world = GrowingWorld(World(options.seed, posts), options.first_night, options.posts_per_night)
    environment = _environment(folder, options, posts)
    nights = []
    with serving(world.world, ServeOptions(options.port)) as server, (folder / "log").open("a") as log:
        world.show(server, 1)
        materialize = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*", *_LOCATION]
        subprocess.run(materialize, env=environment, stdout=log, stderr=log, check=True)
        print(f"{'night':>5}{'runs':>6}" + "".join(f"{name:>14}" for name in _PROCESSES) + "   MiB", flush=True)
        with _dev(environment, options.port + 2, folder / "log") as dev:
            for number in range(1, options.nights + 1):
                world.show(server, number + 1)
                nights.append(_night(dev, options.minutes))
                runs = dev.runs()
                print(
                    f"{number:>5}{runs.total():>6}" + "".join(f"{nights[-1][name]:>14.1f}" for name in _PROCESSES),
                    flush=True,
                )
    growth = {f"{name.replace(' ', '_')}_growth_mib": round(_growth(nights, name), 1) for name in _PROCESSES}
    print(json.dumps({"nights": len(nights), "runs": dict(runs), **growth}))
    return int(bool(runs["failure"]))


def _growth(nights: list[dict[str, float]], name: str) -> float:
    """MiB that a process gains in thirty nights, by a line through the last two thirds of the nights."""
    late = [(number, night[name]) for number, night in enumerate(nights) if 3 * number >= len(nights)]
    return 30 * linear_regression(*zip(*late, strict=True)).slope


def _environment(folder: Path, options: argparse.Namespace, posts: int) -> dict[str, str]:
    home = folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(Path("dagster.yaml").read_text())
    settings = {
        "seed": options.seed,
        "posts": posts,
        "sandbox_port": options.port,
        "block_size": 50,
        "effort": options.effort,
        "retrain_pairs": options.retrain_pairs,
        "gates": "off",
    }
    return {
        **own_environment(folder / "data", home, settings),
        MINUTES: str(options.minutes),
    }


if __name__ == "__main__":
    sys.exit(main())
