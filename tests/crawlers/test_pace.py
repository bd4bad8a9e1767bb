"""A site is asked no faster by several crawls than by one."""

import subprocess
import time
from pathlib import Path

import pytest
from scrapy import Spider  # noqa: TID253 - a test of a Scrapy extension
from scrapy.core.downloader import Slot  # noqa: TID253
from scrapy.http import Response  # noqa: TID253
from scrapy.utils.test import get_crawler  # noqa: TID253

from crawlers.pace import SharedPace
from sandbox.sites.server import serving
from sandbox.sites.site import Site
from tests.crawlers.commands import command, ledger
from tests.sandbox.tiny import tiny_world


def pace(folder: Path) -> SharedPace:
    """What a crawl with a delay of two seconds has, begun just now."""
    settings = {"AUTOTHROTTLE_ENABLED": True, "DOWNLOAD_DELAY": 2.0, "CRAWL_PACE": folder}
    return SharedPace(get_crawler(Spider, settings))


def delay(of: SharedPace) -> float:
    """Seconds that it leaves between requests after a quick response."""
    slot = Slot(8, 2.0)
    of.maxdelay = 60.0
    for _ in range(20):
        of._adjust_delay(slot, 0.01, Response("http://shop.test/"))
    return round(slot.delay, 3)


def test_pace__is_shared_with_crawls_that_run(tmp_path: Path) -> None:
    first = pace(tmp_path / "kream")
    assert delay(first) == 2
    second, elsewhere = pace(tmp_path / "kream"), pace(tmp_path / "onthelook")
    assert (delay(first), delay(second), delay(elsewhere)) == (4, 4, 2)
    first._held.close()
    assert delay(second) == 2


def test_kream__two_crawls_together_keep_the_delay_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(Site, "count", lambda *_: asked.append(time.monotonic()))
    options = ("--browser", "/none", "--delay", "0.15")
    with serving(tiny_world(19)) as server:
        lines = [command("kream", server.urls["kream"], tmp_path, *options, "--blocks", block) for block in "01"]
        crawls = [subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for line in lines]
        assert [crawl.wait(timeout=120) for crawl in crawls] == [0, 0]
    assert len(ledger(tmp_path, "kream")) == 19
    assert asked[-1] - asked[0] > 0.75 * 0.15 * (len(asked) - 1)
