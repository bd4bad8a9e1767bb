"""One pace for a site, however many crawls of it run: the delay between requests grows with their number."""

import contextlib
from typing import Final

from scrapy.core.downloader import Slot  # noqa: TID253 - only Scrapy imports this file
from scrapy.crawler import Crawler  # noqa: TID253
from scrapy.extensions.throttle import AutoThrottle  # noqa: TID253
from scrapy.http import Response  # noqa: TID253

from crawlers.blocks import is_locked, locked
from crawlers.errors import BlockLockedError

_MOST: Final = 8  # crawls of one site that are told apart


class SharedPace(AutoThrottle):
    """AutoThrottle, but crawls of one site into one folder, such as posts and catalog, ask no faster than one would.

    Each holds a lock while it runs. How many are held is looked up with every response, since crawls come and go.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        folder = crawler.settings["CRAWL_PACE"]
        self._locks = [folder / f"{number}.lock" for number in range(_MOST)]
        self._held = contextlib.ExitStack()  # until the process ends
        for lock in self._locks:
            with contextlib.suppress(BlockLockedError):
                self._held.enter_context(locked(lock))
                break

    def _min_delay(self) -> float:
        return super()._min_delay() * sum(map(is_locked, self._locks))

    def _adjust_delay(self, slot: Slot, latency: float, response: Response) -> None:
        self.mindelay = self._min_delay()
        super()._adjust_delay(slot, latency, response)
