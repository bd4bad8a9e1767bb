"""Peak memory of a run: what the whole tree of its processes held at once."""

import os
import threading
from types import TracebackType
from typing import Final, Self

import psutil

_INTERVAL_S: Final = 1.0
_GIB: Final = 2**30


class MemoryPeak:
    """Samples, while it is entered, the resident memory of this process, its ancestors of the same session, and all
    their descendants. Pages that processes share are counted once (PSS), since the sum of RSS counts them many times.

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
        while True:
            self.gib = max(self.gib, tree_memory(root) / _GIB)
            if self._done.wait(_INTERVAL_S):
                return


def tree_memory(root: psutil.Process) -> int:
    """Bytes that a process and its descendants hold now; processes that end meanwhile count nothing."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
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
