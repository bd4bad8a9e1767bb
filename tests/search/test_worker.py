"""The queue in front of the models: bounded, impatient, and one pass for all who wait."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from search.errors import BadRequestError, BusyError, OverdueError
from search.query import Answer, Query
from search.worker import Worker
from tests.search.builders import plain_photo

PHOTO = plain_photo()


def _answer(query: Query) -> Answer:
    return Answer(query.top, 0, "v", ())


class Gate:
    """Answers when it is opened, and remembers what came in one pass."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.passes: list[list[int]] = []

    def __call__(self, queries: Sequence[Query]) -> list[Answer]:
        self.passes.append([query.top for query in queries])
        self.open.wait()
        return [_answer(query) for query in queries]


async def _until(gate: Gate, passes: int) -> None:
    while len(gate.passes) < passes:
        await asyncio.sleep(0.001)


def test_answer__full_queue_and_impatience() -> None:
    async def scenario() -> None:
        gate = Gate()
        worker = Worker(gate, queue=2, patience=0.3)
        slow = [asyncio.create_task(worker.answer(PHOTO)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="2 queries are waiting, limit 2"):
            await worker.answer(PHOTO)
        for task in slow:
            with pytest.raises(OverdueError):
                await task
        assert worker.pending == 0
        gate.open.set()
        assert (await worker.answer(PHOTO, top=7)).width == 7
        assert gate.passes[-1] == [7]  # without the one that was given up before it began
        worker.close()

    asyncio.run(scenario())


def test_answer__who_waits_is_answered_in_one_pass() -> None:
    async def scenario() -> list[list[int]]:
        gate = Gate()
        worker = Worker(gate, batch=3)
        tasks = [asyncio.create_task(worker.answer(PHOTO, top=0))]
        await _until(gate, 1)
        tasks += [asyncio.create_task(worker.answer(PHOTO, top=top)) for top in range(1, 6)]
        while len(worker._waiting) < 5:
            await asyncio.sleep(0.001)
        gate.open.set()
        assert [answer.width for answer in await asyncio.gather(*tasks)] == [0, 1, 2, 3, 4, 5]
        worker.close()
        return gate.passes

    assert asyncio.run(scenario()) == [[0], [1, 2, 3], [4, 5]]


def test_answer__one_that_breaks_the_pass_fails_alone() -> None:
    gate = Gate()

    def passing(queries: Sequence[Query]) -> list[Answer | BadRequestError]:
        gate.passes.append([query.top for query in queries])
        gate.open.wait()
        if any(query.top == 2 for query in queries):
            raise RuntimeError("a picture that nobody foresaw")
        return [BadRequestError("no") if query.top == 3 else _answer(query) for query in queries]

    async def scenario() -> list[object]:
        worker = Worker(passing)
        tasks = [asyncio.create_task(worker.answer(PHOTO, top=0))]
        await _until(gate, 1)
        tasks += [asyncio.create_task(worker.answer(PHOTO, top=top)) for top in (1, 2, 3)]
        while len(worker._waiting) < 3:
            await asyncio.sleep(0.001)
        gate.open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        worker.close()
        return found

    first, second, broken, refused = asyncio.run(scenario())
    assert (first.width, second.width) == (0, 1)  # type: ignore[attr-defined]
    assert isinstance(broken, RuntimeError)
    assert isinstance(refused, BadRequestError)
