"""What a test sees of the processes that a crawl starts, from `/proc`."""

import os
from collections.abc import Iterable
from pathlib import Path


def descendants(pid: int) -> dict[int, str]:
    """Pid → command of all processes below one."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                head, _, tail = (folder / "stat").read_text().rpartition(")")
            except OSError:
                continue  # ended meanwhile
            parents[int(folder.name)] = int(tail.split()[1]), head.partition("(")[2]
    found, queue = {}, [pid]
    for parent in queue:
        children = [number for number, (above, _) in parents.items() if above == parent]
        queue += children
        found |= {number: parents[number][1] for number in children}
    return found


def alive(family: Iterable[int]) -> list[int]:
    """Those of some processes that still run."""

    def is_running(pid: int) -> bool:
        try:
            os.kill(pid, 0)
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return [pid for pid in family if is_running(pid)]
