"""What happens in a night besides the schedules: each event is a context manager that is open while the night runs."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final

from benchmarks.month.fast import ASKED
from curation.review import Decision, Verdict, VerdictLog
from curation.tables import ShardedTable
from models.promotion import ModelVersions

if TYPE_CHECKING:
    from benchmarks.month.month import Month

Event = Callable[["Month"], AbstractContextManager[str]]
"""Says what happened, for the report."""
_DISK_KIB: Final = 256  # of the disk that is full
_BEFORE_KILL: Final = 8  # pictures of the night


@contextmanager
def everything(month: "Month") -> Iterator[str]:
    """After the first crawl the operator runs the job `everything` once."""
    yield "the operator runs everything once"
    month.run("everything")


@contextmanager
def all_sites(month: "Month") -> Iterator[str]:
    """Before the schedules of one site are switched on, the operator crawls all of them."""
    month.run("recrawl")
    yield "the operator crawls all sites once"


@contextmanager
def deletions(month: "Month") -> Iterator[str]:
    """Users delete posts: old ones, and new ones that no crawl has seen."""
    gone = month.world.delete(month.night, old=4, new=2)
    month.world.show(month.server, month.night)
    yield f"{len(gone)} posts deleted"


@contextmanager
def killed(month: "Month") -> Iterator[str]:
    """The daemon is killed in the middle of a crawl."""
    hits = month.server.sites["kream"].hits
    before = hits["original"]
    month.daemon.kill_when = lambda: hits["original"] - before >= _BEFORE_KILL
    month.disturb(*month.server.sites)
    yield "daemon killed in a crawl"


def outage(site: str) -> Event:
    """A site answers 503 to everything for a night."""

    @contextmanager
    def down(month: "Month") -> Iterator[str]:
        month.server.faults[site].go_down()
        month.disturb(site)
        yield f"{site} is down"
        month.server.faults[site].recover()

    return down


def markup(site: str) -> Event:
    """A site names its elements otherwise."""

    @contextmanager
    def changed(month: "Month") -> Iterator[str]:
        month.server.faults[site].rates = {"markup": 1.0}
        month.disturb(site)
        yield f"{site} changes its markup"
        month.server.faults[site].recover()

    return changed


@contextmanager
def full_disk(month: "Month") -> Iterator[str]:
    """There is next to no room where crawls keep what is in no table yet: a file system that only root can make."""
    folder = month.data / "crawl" / "staging"
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={_DISK_KIB}k", "none", str(folder)]
    full = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    if full:
        month.disturb(*month.server.sites)
    yield f"disk full ({_DISK_KIB} KiB left)" if full else "no full disk: only root can make one"
    if full:
        subprocess.run(["/bin/umount", str(folder)], check=True)


@contextmanager
def review(month: "Month") -> Iterator[str]:
    """A reviewer rejects some pairs."""
    pairs = ShardedTable((month.data / "pair_dataset").resolve()).table(["anchor_sha256", "box", "positive_sha256"])
    rows = pairs.slice(0, 3).to_pylist()
    verdicts = [
        Verdict(row["anchor_sha256"], tuple(row["box"]), row["positive_sha256"], Decision.REJECT, "benchmark")
        for row in rows
    ]
    month.rejected += [(verdict.anchor_sha256, verdict.positive_sha256) for verdict in verdicts]
    VerdictLog(month.data / "review" / "verdicts").append(verdicts)
    yield f"{len(rows)} pairs rejected"


@contextmanager
def take_down(month: "Month") -> Iterator[str]:
    """Somebody asks for a post to be removed."""
    done = [key for key, state in month.world.expected(month.night - 1).items() if state == "done"]
    site, number = done[len(done) // 2]
    month.world.taken_down.add((site, number))
    command = ["pipelines", "takedown", "--site", site, "--post", str(number), "--reason", "asked for in a letter"]
    month.operate(*command)
    yield f"take-down of {site} {number}"


@contextmanager
def bad_model(month: "Month") -> Iterator[str]:
    """After the night somebody trains an encoder that has learned nothing, with the gates closed."""
    yield "an encoder that learned nothing"
    month.run(ASKED, "encoder", may_fail=True, gates="on", effort=1e-4)
    month.bad_models.append(ModelVersions(month.data / "models" / "encoder").names[-1])


PLAN: Final[Mapping[int, tuple[Event, ...]]] = {
    1: (everything,),
    4: (deletions,),
    6: (killed,),
    8: (review,),
    10: (outage("kream"),),
    13: (markup("kream"),),
    14: (markup("kream"),),
    16: (take_down,),
    18: (full_disk,),
    20: (outage("onthelook"), deletions),
    22: (bad_model,),
    25: (killed,),
    27: (take_down, review),
}
"""Night → what happens. Weekly, by their schedules, there are training and upkeep besides."""
CRAWLS: Final[Mapping[int, tuple[Event, ...]]] = {
    **{night: tuple(event for event in events if event not in (review, bad_model)) for night, events in PLAN.items()},
    1: (all_sites,),
    20: (deletions,),
}
"""The same where one site is crawled and no model is ever trained."""
