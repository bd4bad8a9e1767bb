"""One thread in front of the models, with a bounded queue: full means try again, slow means given up."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from search.errors import BusyError, OverdueError

QUEUE: Final = 16  # queries that may wait; more would only wait longer than a person does
PATIENCE: Final = 20.0  # seconds in the queue and at work together

_T = TypeVar("_T")


class Worker:
    """Runs calls one after another in its own thread, so that torch is never entered twice."""

    def __init__(self, queue: int = QUEUE, patience: float = PATIENCE) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._queue = queue
        self._patience = patience
        self.pending = 0

    async def run(self, call: Callable[[], _T]) -> _T:
        """Run `call` in the thread and give its result, or raise what it raised.

        Raises:
            BusyError: `queue` calls are waiting or running already.
            OverdueError: it took longer than `patience`; a call that had not begun is never begun.
        """
        if self.pending >= self._queue:
            raise BusyError(f"{self.pending} queries are waiting, limit {self._queue}; try again in a second")
        loop = asyncio.get_running_loop()
        future = self._pool.submit(call)
        self.pending += 1
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._patience)
        except TimeoutError as error:
            raise OverdueError(f"no answer within {self._patience} s") from error

    def close(self) -> None:
        """Begin nothing more and wait for the call at work."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _done(self) -> None:
        self.pending -= 1
