"""Peak memory of a run: what the whole tree of its processes held at once."""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import psutil

_INTERVAL_S: Final = 1.0
_SHARED_EVERY_S: Final = 30.0  # PSS is read anyway: processes may share less than they did
_NEWS: Final = 1.02  # times the highest RSS so far
_GIB: Final = 2**30


class MemoryPeak:
    """Samples, while it is entered, the resident memory of this process, its ancestors of the same session, and all
    their descendants. Pages that processes share are counted once (PSS), since the sum of RSS counts them many times.

    Each second the processes are asked for their RSS, which costs next to nothing. For PSS the kernel walks all their
    pages, a tenth of a second for four GiB: that is done when RSS is higher than ever before, and now and then.

    Attributes:
        gib: highest sum seen, GiB.
    """

    def __init__(self) -> None:
        self.gib = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-peak", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        root = _session_root()
        highest, due = 0, 0.0
        while True:
            resident = _sum_over(root, lambda process: process.memory_info().rss)
            if resident > _NEWS * highest or time.monotonic() >= due:
                highest, due = max(highest, resident), time.monotonic() + _SHARED_EVERY_S
                self.gib = max(self.gib, tree_memory(root) / _GIB)
            if self._done.wait(_INTERVAL_S):
                return


def tree_memory(root: psutil.Process) -> int:
    """Bytes that a process and its descendants hold now, shared ones once."""
    return _sum_over(root, lambda process: process.memory_full_info().pss)


def _sum_over(root: psutil.Process, size: Callable[[psutil.Process], int]) -> int:
    """Of a process and its descendants; those that end meanwhile count nothing."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += size(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total


def _session_root() -> psutil.Process:
    """The oldest ancestor in this process's session: the run, not the shell's other work."""
    root = psutil.Process()
    session = os.getsid(0)
    while (parent := root.parent()) is not None and parent.pid > 1 and os.getsid(parent.pid) == session:
        root = parent
    return root
