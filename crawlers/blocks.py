"""Blocks of post ids: which there are, where a site's newest id is, and the lock that keeps two crawls apart."""

import contextlib
import fcntl
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from crawlers.errors import BlockLockedError, ConfigError
from curation.tables import write_json

FIRST_ID: Final = 1
_FEW: Final = 16  # ids of a probe: all missing by chance once in 60,000, if half of the posts are deleted
_RANGE: Final = re.compile(r"[0-9]{1,6}(-[0-9]{1,6})?")
Newest = Callable[[range], Awaitable[int | None]]
"""Asks a site for the highest existing id among some; None when none of them exists."""


def block_ids(number: int, size: int) -> range:
    """Ids of a block; ids start at 1, so block 0 has one fewer."""
    return range(max(FIRST_ID, number * size), (number + 1) * size)


def block_name(site: str, number: int) -> str:
    """Shard name of a block."""
    return f"{site}/{number:06d}"


def parse_blocks(text: str) -> list[int]:
    """Block numbers of `0-3,7`, in order and once each.

    Raises:
        ValueError: not numbers and ranges, or a range that runs backwards.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        if not _RANGE.fullmatch(part):
            raise ValueError(f"must be auto or numbers and ranges such as 0-3,7, not {part!r}")
        low, _, high = part.partition("-")
        if int(high or low) < int(low):
            raise ValueError(f"range {part} runs backwards")
        numbers.update(range(int(low), int(high or low) + 1))
    return sorted(numbers)


async def find_frontier(newest: Newest, known: int, window: int, limit: int | None = None) -> int:
    """Newest existing id, found by about 2·log2(id) probes of a few ids and one of a window; `known` if none is above.

    A few ids that are all missing may be a gap, so what such probes find is believed only when a whole window above it
    is missing too: the answer is right unless a site has a longer run of missing ids below its newest.

    Args:
        newest: the probe.
        known: an id at or below the frontier, or 0.
        window: missing ids in a row that mean: no newer post.
        limit: look no further than this id.
    """
    few = min(window, _FEW)
    low = known
    if limit is not None and limit > known:  # mostly there are far newer posts
        low = await newest(range(max(known + 1, limit - few + 1), limit + 1)) or known
    while True:
        low = await _search(newest, low, few, limit)
        stop = low + window if limit is None else min(low + window, limit)
        above = await newest(range(low + 1, stop + 1)) if stop > low else None
        if above is None:
            return low
        low = above


async def _search(newest: Newest, known: int, few: int, limit: int | None) -> int:
    """An existing id (or `known`) with a few missing ones above it, by steps that double and then halve."""
    low, high = await _bracket(newest, known, few, limit)
    while high - low > 1:
        middle = (low + high) // 2
        found = await newest(range(middle, min(middle + few, high)))
        low, high = (low, middle) if found is None else (found, high)
    return low


async def _bracket(newest: Newest, known: int, few: int, limit: int | None) -> tuple[int, int]:
    """An existing id (or `known`) and a higher one with a few missing above it, by steps that double."""
    low, step = known, few
    while limit is None or low + step <= limit:
        start = low + step
        found = await newest(range(start, start + few if limit is None else min(start + few, limit + 1)))
        if found is None:
            return low, start
        low, step = found, step * 2
    return low, max(low, limit) + 1


def claim_block_size(out: Path, site: str, size: int) -> None:
    """Note the block size of a table when it is begun, since its shards mean nothing under another one.

    Raises:
        ConfigError: the folder was begun with another size.
    """
    path = out / "ledger" / site / "block_size.json"
    if not path.exists():
        write_json(path, {"block_size": size})
        return
    begun = json.loads(path.read_text())["block_size"]
    if begun != size:
        raise ConfigError(f"block_size: {out} holds {site} posts in blocks of {begun}, got {size}")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock while the block runs; the system frees it when the process dies, however it dies.

    Raises:
        BlockLockedError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BlockLockedError(f"{path.stem} is being crawled by another process (lock {path})") from error
        yield


def is_locked(path: Path) -> bool:
    """Whether some process, this one included, holds a lock."""
    try:
        with locked(path):
            return False
    except BlockLockedError:
        return True
