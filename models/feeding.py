"""Work done ahead in threads, so that a model does not wait for pictures to be read and decoded."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(items: Iterable[Item], make: Callable[[Item], Made], threads: int = 1) -> Iterator[Made]:
    """`map(make, items)`, in order, made by `threads` threads while the caller works on what came before.

    At most `threads` + 1 results are made or being made beside the one that the caller has, so memory is bounded.
    `items` is read by the caller's own thread. An error of `make` is raised in its place in the order. A single item is
    made without a thread: a query of the search service pays for none.
    """
    rest = iter(items)
    first = list(islice(rest, 2))
    if len(first) < 2:
        yield from map(make, first)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    waiting: deque[Future[Made]] = deque()
    try:
        waiting.extend(pool.submit(make, item) for item in first)
        for item in rest:
            if len(waiting) > threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(make, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
