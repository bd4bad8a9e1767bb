"""A week of the simulated month, with what costs least to go wrong; `python -m benchmarks.month` has all of it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from benchmarks.month.events import Event, all_sites, deletions, full_disk, killed, markup, outage, take_down
from benchmarks.month.month import Month, Night, webhook
from benchmarks.month.report import figures, markdown
from benchmarks.month.truth import compare
from benchmarks.month.world import GrowingWorld
from sandbox.sites.server import ServeOptions, serving
from sandbox.world import World
from tests.ports import two_ports

_WEEK: Final[Mapping[int, Sequence[Event]]] = {
    1: (all_sites,),
    2: (killed,),
    3: (outage("kream"),),
    4: (take_down, deletions),
    5: (full_disk,),
    6: (markup("kream"),),
}
_POSTS: Final = 84


def _world() -> GrowingWorld:
    return GrowingWorld(World(1, _POSTS, 80), first=36, nightly=8, sites=["kream"])


@pytest.mark.browser
@pytest.mark.slow
def test_month__a_week_of_trouble_ends_as_if_there_was_none(tmp_path: Path) -> None:
    heard: list[dict[str, object]] = []
    port = two_ports()
    world = _world()
    with serving(world.world, ServeOptions(port)) as server, webhook(heard) as address:
        settings = {"posts": _POSTS, "sandbox_port": port, "block_size": 10, "gates": "off", "webhook": address}
        month = Month(world, server, tmp_path / "data", settings, ["nightly_kream_posts"])
        nights = list(month.live(7, _WEEK))
    assert month.findings.none, month.findings
    _tells_the_story(nights)
    assert len(heard) == 1 + sum(bool(night.failed) for night in nights)  # and the run that was killed
    assert figures(nights, month.findings)["lost"] == 0
    assert "database or disk is full" in markdown(nights, month.findings) or "only root" in nights[4].happened
    _can_fail(tmp_path / "data", world)


def _tells_the_story(nights: Sequence[Night]) -> None:
    why = {night.night: " ".join(night.failed.values()) for night in nights}
    assert nights[1].memory_mib is None  # killed
    assert "HTTP 503" in why[3]
    assert not why[4]
    assert "no_drift" in why[6]
    assert not why[7]
    assert [night.posts for night in nights] == sorted(night.posts for night in nights)


def _can_fail(data: Path, world: GrowingWorld) -> None:
    ledger = data / "crawl" / "ledger" / "kream"
    shutil.copy(ledger / "000001.parquet", ledger / "000099.parquet")
    (data / "crawl" / "posts" / "kream" / "000001.parquet").unlink()
    findings = compare(data, world, 7)
    assert findings.doubled
    assert findings.lost


def test_growing_world__expects_what_could_be_crawled() -> None:
    world = _world()
    world.calm["kream"] = [1, 3]
    new = {key for key in world.expected(2) if key not in world.expected(1)}
    seen = next(key for key, state in world.expected(1).items() if state == "done")
    unseen = next(key for key in new if world.expected(3)[key] == "done")
    world.deleted = {seen: 2, unseen: 3}
    world.taken_down = {next(key for key, state in world.expected(1).items() if state == "done" and key != seen)}
    assert world.expected(3)[seen] == "done"  # crawled before it was deleted
    assert world.expected(3)[unseen] == "gone"  # deleted before the first night on which its site could be crawled
    assert sum(state == "excluded take_down" for state in world.expected(3).values()) == 1
