"""Blocks, the frontier and the lock."""

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy.http import Response  # noqa: TID253 - answers of a site

from crawlers.blocks import block_ids, block_name, claim_block_size, find_frontier, locked, parse_blocks
from crawlers.config import make_config
from crawlers.discovery import _Count
from crawlers.errors import BlockLockedError, ConfigError


def test_block_ids__start_at_one() -> None:
    assert block_ids(0, 100) == range(1, 100)
    assert block_ids(14, 10_000) == range(140_000, 150_000)
    assert block_name("kream", 14) == "kream/000014"


def test_parse_blocks__ranges_and_repeats() -> None:
    assert parse_blocks("0-3,7,2") == [0, 1, 2, 3, 7]


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-1", "1,,2", "1-2-3", "٣", "99999999"])
def test_parse_blocks__refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be auto|backwards"):
        parse_blocks(text)


def frontier(ids: set[int], known: int, window: int, limit: int | None = None) -> tuple[int, int]:
    asked = 0

    async def newest(among: range) -> int | None:
        nonlocal asked
        asked += len(among)
        assert len(among) <= window
        return max(ids.intersection(among), default=None)

    return asyncio.run(find_frontier(newest, known, window, limit)), asked


@given(st.integers(1, 5000), st.integers(3, 60), st.integers(0, 10**6))
def test_find_frontier__exact_while_gaps_are_shorter_than_the_window(top: int, window: int, seed: int) -> None:
    ids, here = {top}, top
    while here > 1:
        seed = (seed * 1103515245 + 12345) % 2**31
        here -= 1 + seed % window
        ids.add(max(here, 1))
    assert frontier(ids, 0, window)[0] == top
    assert frontier(ids, min(ids), window)[0] == top


def test_count__an_address_that_is_broken_is_no_newest_post(tmp_path: Path) -> None:
    statuses = dict.fromkeys(range(1, 9), 200) | {9: 500}

    async def page(url: str) -> Response:
        return Response(url, status=statuses.get(int(url.rpartition("/")[2]), 404))

    pages: Any = SimpleNamespace(post_url="http://shop.test/{}".format)
    fetcher: Any = SimpleNamespace(page=page)
    config = make_config(kind="kream", out=tmp_path, concurrency=4)
    count = _Count(pages, config, fetcher, 100, cast(Any, None))
    assert asyncio.run(count.blocks()) == {0: range(1, 9)}


def test_find_frontier__few_probes_for_many_posts() -> None:
    found, asked = frontier(set(range(1, 1_419_048)), 0, 200)
    assert found == 1_419_047
    assert asked < 800


def test_find_frontier__nothing_there() -> None:
    assert frontier(set(), 0, 20)[0] == 0


def test_find_frontier__looks_no_further_than_the_limit() -> None:
    ids = set(range(1, 1000))
    assert frontier(ids, 0, 50, limit=299)[0] == 299
    assert frontier(ids, 299, 50, limit=299)[0] == 299
    assert frontier(set(range(1, 250)), 0, 50, limit=299)[0] == 249


def test_find_frontier__far_below_the_newest_one_probe_is_enough() -> None:
    assert frontier(set(range(1, 10**6)), 0, 200, limit=20) == (20, 16)


def test_find_frontier__a_gap_where_it_probes_does_not_end_the_search() -> None:
    ids = set(range(1, 1001)) - set(range(470, 560))
    assert frontier(ids, 0, 100)[0] == 1000


def test_locked__second_process_is_refused_and_death_frees(tmp_path: Path) -> None:
    path = tmp_path / "kream" / "000000.lock"
    code = f"""
from pathlib import Path
from crawlers.blocks import locked
with locked(Path({str(path)!r})):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockLockedError, match="000000"), locked(path):
            pass
        holder.kill()
        holder.wait()
    with locked(path):
        assert path.exists()


def test_claim_block_size__another_size_is_refused(tmp_path: Path) -> None:
    claim_block_size(tmp_path, "kream", 100)
    claim_block_size(tmp_path, "kream", 100)
    claim_block_size(tmp_path, "onthelook", 10)
    with pytest.raises(ConfigError, match=r"block_size: .* blocks of 100, got 50"):
        claim_block_size(tmp_path, "kream", 50)
