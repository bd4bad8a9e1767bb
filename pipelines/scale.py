"""The chain at full size: a drawn world of as many posts as give so many pairs, in steps that may be killed.

Every step crawls some more posts and takes them through what is made post by post: hashes, crops and categories.
Clusters, pairs and dataset are made of all posts each time, so they follow only when there are four times the posts of
the time before, and at the end: all these times together take about one and a half times as long as the last one.
Models are not trained here but taken from a small world. `steps.jsonl` has a line for each step that is done: it is
where the next run goes on, and what the rates are reckoned from.
"""

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import dagster as dg
import psutil

from assets.io_manager import adopt, reference_of
from assets.memory import MemoryPeak
from assets.sandbox_server import SandboxAddress, ensure_serving
from curation.tables import ShardedTable
from pipelines.environments import PREFIX, Settings
from pipelines.upkeep import disk_usage

log = logging.getLogger(__name__)

PAIRS_PER_POST: Final = 1.7
"""Fewer than the 1.88 measured on 33,000 posts: pairs must be surer now, and enough pairs end the crawl early."""
_BLOCK: Final = 250  # post ids per shard
_BLOCKS: Final = {"kream": 3, "onthelook": 1}  # of a unit; the sandbox has three posts on KREAM for one on OnTheLook
UNIT: Final = _BLOCK * sum(_BLOCKS.values())  # posts
_GROWTH: Final = 8  # a step is this part of what is there: starting the assets costs some seconds each
_FOLD: Final = 4  # pairs and dataset follow whenever there are so many times the posts
_MODELS: Final = {"detector": "detector", "category_classifier": "classifier"}  # asset → folder of its checkpoint
_TRAINING: Final = ("kream_catalog", "detection_dataset", *_MODELS)
_CRAWL: Final = ("kream_posts", "onthelook_posts")
_STEP: Final = (*_CRAWL, "image_hashes", "post_crops", "thumbnail_categories")
_FINISH: Final = ("duplicate_clusters", "pair_matches", "pair_verifier", "candidate_pairs", "pair_dataset")
_CAPPED: Final = "pair_verifier"  # learns from so many pairs at most, which some 15,000 posts have
_COSTS: Final = ("seconds", "processor_seconds")
_GIB: Final = 2**30


class ScaleError(Exception):
    """Raised when a run of the assets fails, or another process is at work in the same folder."""


@dataclass(frozen=True)
class Scale:
    """One run at full size.

    Args:
        settings: seed, port, and the data folder whose models are used if it has any.
        pairs: wanted.
        folder: of the tables.
    """

    settings: Settings
    pairs: int
    folder: Path

    @cached_property
    def posts(self) -> int:
        """How many the world has: enough for the wanted pairs, in whole units."""
        return -(-round(self.pairs / PAIRS_PER_POST) // UNIT) * UNIT

    @property
    def _address(self) -> SandboxAddress:
        return SandboxAddress(self.settings.seed, self.posts, "", self.settings.sandbox_port)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def steps(self) -> list[dict[str, Any]]:
        """What was done."""
        path = self.folder / "steps.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def run(self, hours: float, say: Callable[[str], None] = log.info) -> None:
        """Go on where the last run ended, until there are enough pairs or the time is over.

        Args:
            hours: after which no step begins; there is always one.
            say: called with a line after each step.

        Raises:
            ScaleError: see there.
        """
        start = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone() as lock:
            self._take_models(lock)
            while not (steps := self.steps) or (
                not self._enough(steps[-1]) and time.monotonic() - start < 3600 * hours
            ):
                self._step(steps, lock)
                say(self.state())
            if not steps[-1]["finished"]:
                self._finish(lock)

    def again(self) -> dict[str, float]:
        """Materialize once more what is there, with nothing new to crawl: its seconds beside those of all steps.

        Raises:
            ScaleError: there is nothing yet, or see `run`.
        """
        steps = self.steps
        if not steps:
            raise ScaleError(f"{self.folder}: no step was done yet")
        with self._alone() as lock:
            ensure_serving(self._address)
            start = time.monotonic()
            config = {"ops": self._blocks(0, steps[-1]["posts"] // UNIT)}
            _materialize(self._environment(self.folder, self.posts), (*_STEP, *_FINISH), self._log, lock, config)
            again = time.monotonic() - start
        first = sum(step["seconds"] for step in steps)
        return {"first_seconds": round(first), "again_seconds": round(again, 1), "share": round(again / first, 4)}

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold the folder's lock; its descriptor is handed to each child, so that what a kill leaves holds it too."""
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ScaleError(
                    f"{self.folder}: another process is at work there, or what a killed one left"
                ) from None
            yield lock.fileno()

    def _enough(self, step: dict[str, Any]) -> bool:
        return bool(step["pairs"] >= self.pairs or step["posts"] >= self.posts)

    def state(self) -> str:
        """One line on how far it is."""
        last, peak = self.steps[-1], max(step["peak_gib"] for step in self.steps)
        return (
            f"{last['posts']:,} of {self.posts:,} posts, {last['pairs']:,} of {self.pairs:,} pairs, "
            f"peak {peak:.1f} GiB, on disk {last['disk_gib']:.1f} GiB, last step {last['seconds'] / 60:.0f} min"
        )

    def _step(self, steps: list[dict[str, Any]], lock: int) -> None:
        """Crawl some more, and derive from it what needs no other posts; the rest when it is due."""
        done = steps[-1]["posts"] // UNIT if steps else 0
        finished = max((step["posts"] // UNIT for step in steps if step["finished"]), default=0)
        last, finish = _next(done, finished, self.posts // UNIT)
        assets = (*_STEP, *(_FINISH if finish else ()), *(() if done else ("kream_catalog",)))
        self._work(assets, last * UNIT, lock, {"ops": self._blocks(done, last)})

    def _blocks(self, first: int, end: int) -> dict[str, Any]:
        """Configuration of the crawls of some units."""
        spans = {site: f"{number * first}-{number * end - 1}" for site, number in _BLOCKS.items()}
        return {f"{site}_posts": {"config": {"blocks": span}} for site, span in spans.items()}

    def _finish(self, lock: int) -> None:
        self._work(_FINISH, self.steps[-1]["posts"], lock, {})

    def _work(self, assets: tuple[str, ...], posts: int, lock: int, config: dict[str, Any]) -> None:
        """Materialize some assets, and note what that took."""
        ensure_serving(self._address)  # as a child of this process: its memory counts
        start, served = time.monotonic(), _server_seconds(self._address)
        with MemoryPeak() as memory:
            _materialize(self._environment(self.folder, self.posts), assets, self._log, lock, config)
        stages = {name: json.loads((self.folder / "stages" / f"{name}.json").read_text()) for name in assets}
        link = self.folder / "pair_dataset"
        done = {
            "posts": posts,
            "finished": _FINISH[-1] in assets,
            "pairs": ShardedTable(link.resolve()).rows if link.exists() else 0,
            "seconds": round(time.monotonic() - start, 1),
            "server_seconds": round(_server_seconds(self._address) - served, 1),
            "stages": {name: {key: row[key] for key in _COSTS} for name, row in stages.items()},
            "peak_gib": round(memory.gib, 2),
            "disk_gib": round(sum(disk_usage(self.folder).values()) / _GIB, 2),
        }
        with (self.folder / "steps.jsonl").open("a") as file:
            file.write(json.dumps(done) + "\n")

    def _take_models(self, lock: int) -> None:
        """Detector and classifier: those of the data folder, or trained now on a world of a thousand posts."""
        if all(reference_of(self.folder, dg.AssetKey(asset)).is_file() for asset in _MODELS):  # written last
            return
        source = self.settings.data
        if not all((source / "models" / name / "manifest.json").is_file() for name in _MODELS.values()):
            source = self.folder / "school"
            log.warning("no models in %s: training them on a small world first", self.settings.data)
            _materialize(self._environment(source, 1000), _TRAINING, self._log, lock, {})
        for asset, name in _MODELS.items():
            shutil.copytree(source / "models" / name, self.folder / "models" / name, dirs_exist_ok=True)
            adopt(self.folder, asset, self.folder / "models" / name)

    def _environment(self, data: Path, posts: int) -> dict[str, str]:
        own = {"PROFILE": "sandbox", "DATA": str(data), "POSTS": str(posts), "PHOTOS": "", "BLOCK_SIZE": str(_BLOCK)}
        if self.settings.tables:  # those there are another world's
            own["TABLES"] = f"{self.settings.tables_at.rstrip('/')}-{data.name}"
        return {**os.environ, **{f"{PREFIX}{name}": value for name, value in own.items()}}


def _next(done: int, finished: int, units: int) -> tuple[int, bool]:
    """Units of which there are posts after the next step, and whether pairs and dataset follow it.

    Args:
        done: units so far.
        finished: units of which there is a dataset.
        units: of the whole world.
    """
    last = min(done + max(1, done // _GROWTH), units)
    return last, last >= _FOLD * finished or last == units


def _finishes(units: int) -> list[int]:
    """Units of which pairs and dataset are made, on the way to so many."""
    done, finished = 0, [0]
    while done < units:
        done, finish = _next(done, finished[-1], units)
        finished += [done] if finish else []
    return finished[1:]


def rates(steps: list[dict[str, Any]], posts: int) -> dict[str, dict[str, float]]:
    """Hours of each stage so far and, reckoned from them, for so many posts; of the processor and by the clock.

    Stages of every step grow with the posts. Those that are made anew are reckoned from their last time; what learns
    takes as long each time.
    """
    spent: dict[str, dict[str, float]] = defaultdict(lambda: {"processor": 0.0, "clock": 0.0})
    last: dict[str, dict[str, float]] = {}
    for step in steps:
        spent["sandbox"]["processor"] += step["server_seconds"]
        for name, stage in step["stages"].items():
            last[name] = {"processor": stage["processor_seconds"], "clock": stage["seconds"], "posts": step["posts"]}
            for kind in ("processor", "clock"):
                spent[name][kind] += last[name][kind]
    table, finishes = {}, _finishes(posts // UNIT)
    for name, of in spent.items():
        if name == _CAPPED:
            known, times = last[name], float(len(finishes))
        elif name in _FINISH:
            known, times = last[name], sum(finishes) * UNIT / last[name]["posts"]
        else:
            known, times = of, posts / steps[-1]["posts"]
        ahead = {f"{kind}_ahead": known[kind] / 3600 * times for kind in of}
        table[name] = {**{kind: value / 3600 for kind, value in of.items()}, **ahead}
    return table


def clock_hours(steps: list[dict[str, Any]], posts: int) -> float:
    """Hours by the clock for so many posts, reckoned as `rates` does; of what runs side by side the longer counts."""
    table = rates(steps, posts)
    anew = [of for name, of in table.items() if name in _FINISH]
    crawled = sum(step["seconds"] for step in steps) / 3600 - sum(of["clock"] for of in anew)
    return float(crawled * posts / steps[-1]["posts"] + sum(of["clock_ahead"] for of in anew))


def summary(scale: Scale) -> str:
    """What every stage took, what it would take to the end, and the figures as JSON."""
    steps = scale.steps
    table = rates(steps, scale.posts)
    lines = [
        f"{'hours':<24}{'processor':>12}{'clock':>8}   for all {scale.posts:,} posts:{'processor':>12}{'clock':>8}"
    ]
    for name, of in table.items():
        lines.append(
            f"{name:<24}{of['processor']:>12.2f}{of['clock']:>8.2f}{'':>28}"
            f"{of['processor_ahead']:>12.2f}{of['clock_ahead']:>8.2f}"
        )
    figures = {
        "posts": steps[-1]["posts"],
        "pairs": steps[-1]["pairs"],
        "hours": round(sum(step["seconds"] for step in steps) / 3600, 2),
        "hours_for_all": round(clock_hours(steps, scale.posts), 1),
        "processor_hours": round(sum(of["processor"] for of in table.values()), 2),
        "processor_hours_for_all": round(sum(of["processor_ahead"] for of in table.values()), 1),
        "peak_gib": max(step["peak_gib"] for step in steps),
        "disk_gib": steps[-1]["disk_gib"],
        "disk_gib_for_all": round(steps[-1]["disk_gib"] * scale.posts / steps[-1]["posts"], 1),
    }
    return "\n".join([scale.state(), *lines, json.dumps(figures)])


def _materialize(
    environment: dict[str, str], assets: tuple[str, ...], log: Path, lock: int, config: dict[str, Any]
) -> None:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", ",".join(assets)]
    command += ["-m", "pipelines.definitions", "--config-json", json.dumps(config)]
    with log.open("a") as output:
        done = subprocess.run(command, env=environment, stdout=output, stderr=output, pass_fds=(lock,), check=False)
    if done.returncode:
        raise ScaleError(f"{', '.join(assets)}: the run failed, see the end of {log}; run again to go on")


def _server_seconds(address: SandboxAddress) -> float:
    """Processor time of the sandbox's server."""
    with urllib.request.urlopen(f"{address.urls['kream']}/__sandbox", timeout=60) as response:  # noqa: S310 - loopback
        times = psutil.Process(json.load(response)["pid"]).cpu_times()
    return float(times.user + times.system)
