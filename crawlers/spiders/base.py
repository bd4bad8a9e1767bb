"""What both spiders share: bounded concurrent work inside `start`, a clean stop."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, ClassVar, Final, TypeVar

from scrapy import Request, Spider  # noqa: TID253 - imported only when a crawl runs

from crawlers.config import CrawlConfig
from crawlers.errors import StoppedCrawlError
from crawlers.progress import Progress
from crawlers.staging import Staging

log = logging.getLogger(__name__)
Job = TypeVar("Job")
Result = TypeVar("Result")
_GRACE_SECONDS: Final = 5.0  # for the pages under way when a stop is asked for; the rest is found again by a resume


class WorkSpider(Spider):
    """A spider that does its work in `work`, asking for pages and waiting for them, instead of in callbacks.

    So a post's page and pictures are one piece of straight code, and no failure can be lost between callbacks; all
    requests still pass Scrapy's downloader with its middlewares, delays and robots.txt.
    """

    name: ClassVar[str] = "work"  # type: ignore[misc] # Scrapy declares it per instance

    def __init__(self, config: CrawlConfig, progress: Progress, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.progress = progress
        self.stopped: str | None = None
        """Why the crawl stopped before its work was done."""
        self.error: BaseException | None = None
        """What `work` raised, for the process to report."""
        self._deadline = None if config.max_seconds is None else time.monotonic() + config.max_seconds

    async def work(self) -> None:
        """Do everything."""
        raise NotImplementedError

    async def start(self) -> AsyncIterator[Any]:
        """Called by Scrapy once; the crawl ends when it ends."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
        try:
            await self.work()
        except Exception as error:  # handed to the process, which reports it and fails
            self.error = error
        requests: list[Request] = []  # Scrapy wants an asynchronous iterator; `work` made all requests itself
        for request in requests:
            yield request

    def stop(self, reason: str) -> None:
        """Begin nothing more; what is under way may end."""
        if self.stopped is None:
            self.stopped = reason
            log.warning("stopping: %s", reason)

    async def each(self, jobs: Iterable[Job], do: Callable[[Job], Awaitable[None]], limit: int) -> None:
        """Do each job, at most `limit` at one time, until all are done or the crawl is stopped.

        Raises whatever a job raises, after cancelling the others.
        """
        running: set[asyncio.Task[None]] = set()
        try:
            for job in jobs:
                if self._must_stop():
                    break
                running.add(asyncio.ensure_future(do(job)))
                if len(running) >= limit:
                    running = await self._some(running)
            while running and not self._must_stop():
                running = await self._some(running)
            if running:
                done, running = await asyncio.wait(running, timeout=_GRACE_SECONDS)
                _raise_first(done)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _some(self, running: set["asyncio.Task[None]"]) -> set["asyncio.Task[None]"]:
        # Wakes now and then, so that a stop is noticed while all pages hang.
        done, pending = await asyncio.wait(running, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
        _raise_first(done)
        while len(pending) >= len(running) and not self._must_stop():
            done, pending = await asyncio.wait(pending, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            _raise_first(done)
        return pending

    async def unless_stopped(self, work: Awaitable[Result]) -> Result | None:
        """The result of some work, or None when the crawl is stopped before it is done."""
        task = asyncio.ensure_future(work)
        while not task.done() and not self._must_stop():
            await asyncio.wait({task}, timeout=0.5)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None

    async def in_thread(self, work: Callable[..., object], name: str, staging: Staging) -> bool:
        """Exchange rows between a staging file and a shard; False when the crawl is stopped before that is done.

        A block has gigabytes of pictures: to write it takes minutes, and a stop must not.
        """
        try:
            self._raise_if_stopped()
            await asyncio.to_thread(work, self.config.out, name, staging, self._raise_if_stopped)
        except StoppedCrawlError:
            return False
        return True

    def _raise_if_stopped(self) -> None:
        if self.stopped is not None:
            raise StoppedCrawlError(self.stopped)

    def _must_stop(self) -> bool:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.stop("max_seconds")
        return self.stopped is not None


def _raise_first(done: Iterable["asyncio.Task[None]"]) -> None:
    for task in done:
        task.result()
