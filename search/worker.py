"""In front of the models: a bounded queue, and one thread that answers all who wait with one pass.

Nobody waits for a batch to fill: whatever came in while the last pass ran is the next batch. An idle service answers
at once, a busy one does more at a time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from search.errors import BusyError, OverdueError, SearchError
from search.photo import open_photo
from search.query import Answer, Query

QUEUE: Final = 32  # queries that may wait; more would only wait longer than a person does
PATIENCE: Final = 20.0  # seconds from the end of the upload to the answer
BATCH: Final = 8  # queries in one pass: on CPUs more only makes the first one wait
_DECODERS: Final = 1  # photos decoded at once: each may take a few hundred megabytes while it is decoded

Answering = Callable[[Sequence[Query]], Sequence[Answer | SearchError]]
"""`SearchService.answer_many`."""


class Worker:
    """Decodes in one thread and runs the models in another, so that neither is ever entered twice."""

    def __init__(
        self, answer_many: Answering, queue: int = QUEUE, patience: float = PATIENCE, batch: int = BATCH
    ) -> None:
        self._answer_many = answer_many
        self._decoder = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")
        self._models = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._queue = queue
        self._patience = patience
        self._batch = batch
        self._waiting: deque[tuple[Query, asyncio.Future[Answer]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self.pending = 0
        self.batches = 0

    async def answer(self, data: bytes, **rules: Any) -> Answer:
        """Answer one query; `rules` are the fields of `Query` but the photo.

        Raises:
            BadPhotoError: `data` is no usable picture.
            BusyError: `queue` queries are waiting or being answered already.
            OverdueError: it took longer than `patience`; a query that had not begun is never begun.
            SearchError: as `SearchService.search`.
        """
        if self.pending >= self._queue:
            raise BusyError(f"{self.pending} queries are waiting, limit {self._queue}; try again in a second")
        self.pending += 1
        try:
            async with asyncio.timeout(self._patience):
                photo = await asyncio.get_running_loop().run_in_executor(self._decoder, open_photo, data)
                return await self._enqueue(Query(photo, **rules))
        except TimeoutError as error:
            raise OverdueError(f"no answer within {self._patience} s") from error
        finally:
            self.pending -= 1

    def close(self) -> None:
        """Begin nothing more and wait for what is at work."""
        for pool in (self._decoder, self._models):
            pool.shutdown(wait=True, cancel_futures=True)

    def _enqueue(self, query: Query) -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((query, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return future

    async def _run(self) -> None:
        while self._waiting:
            alive = [item for item in self._waiting if not item[1].done()]  # others were given up
            self._waiting = deque(alive[self._batch :])
            if alive:
                await self._pass(alive[: self._batch])

    async def _pass(self, batch: Sequence[tuple[Query, asyncio.Future[Answer]]]) -> None:
        self.batches += 1
        queries = [query for query, _ in batch]
        done = asyncio.get_running_loop().run_in_executor(self._models, self._answer_many, queries)
        await asyncio.wait([done])
        failure = done.exception()
        if failure is not None and len(batch) > 1:  # whosever fault it is: the others shall not suffer for it
            for item in batch:
                await self._pass([item])
            return
        answers = [failure] if failure is not None else done.result()
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # given up in the meantime
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
