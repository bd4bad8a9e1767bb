"""Errors of the crawling room. Each says which field, which rule and which value."""

from typing import Final

REFUSED: Final = "refused"
"""How a crawl ended that never began, since its configuration is wrong."""


class CrawlError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigError(CrawlError):
    """Raised before any work starts when an option has a value that cannot be meant, or a tool is not installed."""


class PageError(CrawlError):
    """Raised for a page that is not what its address promises: markup changed, a wall before it, or a part refused."""


class PageGoneError(PageError):
    """Raised by a page object for a page that says, with status 200, that the post does not exist."""


class NuxtDataError(PageError):
    """Raised by `crawlers.pages.nuxt.decode` for text that is no `__NUXT_DATA__` array."""


class RobotsError(CrawlError):
    """Raised for each request to a host whose robots.txt cannot be read: by RFC 9309, it then forbids everything."""


class HostPausedError(CrawlError):
    """Raised for each request to a host whose `Retry-After` asks to be left alone for longer than a crawl waits."""


class BlockLockedError(CrawlError):
    """Raised when another process is crawling the same block into the same folder."""


class EmptyCrawlError(CrawlError):
    """Raised when a crawl kept nothing: the site is down, blocks us, or changed."""


class StoppedCrawlError(CrawlError):
    """Raised when a crawl ended before its work was done: a signal, repeated refusals, or a part that failed."""
