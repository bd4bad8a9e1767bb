"""The month itself: night after night, what happens in each, and what it left."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

from benchmarks.month.events import Event
from benchmarks.month.nights import DaemonProcess, MonthError, own_environment
from benchmarks.month.truth import Findings, compare
from benchmarks.month.world import GrowingWorld
from curation.tables import ShardedTable
from models.promotion import ModelVersions
from sandbox.sites.server import Server
from search.index.versions import current_version

FIRST_DAY: Final = date(2026, 1, 1)  # a Thursday
_PAGES: Final = ("post", "product", "listing", "api")
_MIB: Final = 2**20


@dataclass(frozen=True)
class Night:
    """One line of the report."""

    night: int
    happened: str
    runs: int
    failed: dict[str, str]  # job and step → why
    skipped: dict[str, str]  # schedule → why
    pages: int  # asked for, of both sites
    posts: int  # crawled so far
    pairs: int  # of the dataset in use
    model: str  # in use
    index: str  # in use
    memory_mib: float | None  # of the daemon when the night is over; None when it was killed
    seconds: float


class Month:
    """Runs nights on a world that a server shows.

    Args:
        world: what is there by when.
        server: of that world.
        data: folder of what runs make.
        settings: `FASHION_*` by name.
        schedules: names of those that are switched on; none: all.
    """

    def __init__(
        self,
        world: GrowingWorld,
        server: Server,
        data: Path,
        settings: Mapping[str, object],
        schedules: Sequence[str] = (),
    ) -> None:
        self.world, self.server, self.data = world, server, data
        self.night = 0
        self.rejected: list[tuple[str, str]] = []
        self.bad_models: list[str] = []
        self.findings = Findings([], [], [])
        self._settings = dict(settings)
        self._home = data.with_name(f"{data.name}-dagster")
        self._log = data.with_name(f"{data.name}.log")
        self._disturbed: set[str] = set()
        self._splits: dict[Any, str] = {}
        self._prepare()
        self.daemon = DaemonProcess(self._environment(), self._log, schedules)

    def live(self, nights: int, plan: Mapping[int, Sequence[Event]]) -> Iterator[Night]:
        """Live through the nights, one after the other; then compare what is there with the truth."""
        try:
            for number in range(1, nights + 1):
                yield self._live(number, plan.get(number, ()))
            remade = self.daemon.ask() or {}
        finally:
            self.daemon.stop()
        self.findings = self._differences(compare(self.data, self.world, self.night), remade)

    def disturb(self, *sites: str) -> None:
        """The crawls of these sites cannot be expected to end well in this night."""
        self._disturbed.update(sites)

    def run(self, job: str, *assets: str, may_fail: bool = False, **settings: object) -> None:
        """Run a job as an operator does, in a process of its own, with other settings where they are given.

        Raises:
            MonthError: it failed, and may not.
        """
        process = DaemonProcess(self._environment(**settings), self._log)
        answer = process.ask(job=job, select=assets) or {"runs": []}
        process.stop()
        failed = {step: why for run in answer["runs"] for step, why in run["failed"].items()}
        if failed and not may_fail:
            raise MonthError(f"{job} failed: {failed}")

    def operate(self, *arguments: str) -> None:
        """Type a command. Raises `MonthError` when it fails."""
        with self._log.open("a") as log:
            command = [sys.executable, "-m", *arguments]
            done = subprocess.run(command, env=self._environment(), stdout=log, stderr=log, check=False)
        if done.returncode:
            raise MonthError(f"{' '.join(arguments)} ended with status {done.returncode}: see {self._log}")

    def _live(self, number: int, events: Sequence[Event]) -> Night:
        self.night, self._disturbed = number, set()
        start, before = time.monotonic(), self._pages
        new = self.world.show(self.server, number)
        with ExitStack() as stack:
            happened = [f"{new} new posts", *(stack.enter_context(event(self)) for event in events)]
            answer = self.daemon.ask(night=(FIRST_DAY + timedelta(days=number - 1)).isoformat())
        for site, nights in self.world.calm.items():
            nights += [] if site in self._disturbed else [number]
        self._watch_splits()
        return self._note(answer, ", ".join(happened), self._pages - before, time.monotonic() - start)

    def _note(self, answer: dict[str, Any] | None, happened: str, pages: int, seconds: float) -> Night:
        runs = answer["runs"] if answer else []
        model = ModelVersions(self.data / "models" / "encoder").current
        manifest = self.data / "pair_dataset" / "manifest.json"
        return Night(
            night=self.night,
            happened=happened,
            runs=len(runs),
            failed={f"{run['job']}: {step}": why for run in runs for step, why in run["failed"].items()},
            skipped=answer["skipped"] if answer else {},
            pages=pages,
            posts=ShardedTable(self.data / "crawl" / "ledger").counts.get("done", 0),
            pairs=sum(json.loads(manifest.read_text())["rows"].values()) if manifest.is_file() else 0,
            model=model.name if model else "",
            index=current_version(self.data / "index") or "",
            memory_mib=round(answer["memory"] / _MIB, 1) if answer else None,
            seconds=round(seconds, 1),
        )

    def _watch_splits(self) -> None:
        """A pair stays in its split; it may come to train, where groups of several splits have met."""
        table = ShardedTable((self.data / "pair_dataset").resolve())
        if not table.shards:
            return
        rows = table.table(["anchor_sha256", "positive_sha256", "split"]).to_pylist()
        now = {(row["anchor_sha256"], row["positive_sha256"]): row["split"] for row in rows}
        moved = [pair for pair, split in now.items() if split not in (self._splits.get(pair, split), "train")]
        self.findings.wrong += [f"pair {pair} moved to {now[pair]} in night {self.night}" for pair in moved]
        back = [pair for pair in self.rejected if pair in now]
        self.findings.wrong += [f"pair {pair} was rejected, and is there in night {self.night}" for pair in back]
        self._splits |= now

    def _differences(self, found: Findings, remade: Mapping[str, int]) -> Findings:
        stale = [f"{asset}: {shards} shards were out of date" for asset, shards in remade.items() if shards]
        used = ModelVersions(self.data / "models" / "encoder").ledger()
        bad = [f"the bad model {row['version']} was used" for row in used if row["in_use"] in self.bad_models]
        return Findings(found.lost, found.doubled, [*self.findings.wrong, *found.wrong, *stale, *bad])

    def _prepare(self) -> None:
        self._home.mkdir(parents=True)
        self._home.joinpath("dagster.yaml").write_text(Path("dagster.yaml").read_text())
        self.data.mkdir(parents=True, exist_ok=True)

    def _environment(self, **settings: object) -> dict[str, str]:
        return own_environment(self.data, self._home, {**self._settings, **settings})

    @property
    def _pages(self) -> int:
        return sum(site.hits[kind] for site in self.server.sites.values() for kind in _PAGES)


@contextlib.contextmanager
def webhook(heard: list[dict[str, Any]]) -> Iterator[str]:
    """Address of a webhook that keeps what it hears while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
