"""Scrapy's settings for one crawl: polite, closed to the outside, bounded."""

from typing import Any, Final

from crawlers.config import CrawlConfig
from crawlers.policy import Policy
from curation.images import MAX_BYTES

_REDIRECTS: Final = 5
_LEAST_DELAY: Final = 0.001
"""s; without any, Scrapy hands out all that waits for a host at once, however many requests it may get at one time."""
_LONGEST_DELAY: Final = 60.0  # s, to which AutoThrottle may slow down
_TRANSIENT: Final = [408, 429, 500, 502, 503, 504, 520, 522, 524]


def scrapy_settings(config: CrawlConfig, policy: Policy) -> dict[str, Any]:
    """Settings for `scrapy.crawler.CrawlerProcess`."""
    polite = config.delay > 0
    values: dict[str, Any] = {
        "CRAWL_POLICY": policy,
        "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
        "REMOTE_CONTROL_ENABLED": False,  # it would run code that a local process sends
        "TELNETCONSOLE_ENABLED": False,
        "ROBOTSTXT_OBEY": True,
        "USER_AGENT": config.user_agent,
        "DOWNLOAD_DELAY": max(config.delay, _LEAST_DELAY),
        "EXTENSIONS": {"scrapy.extensions.throttle.AutoThrottle": None, "crawlers.pace.SharedPace": 0},
        "CRAWL_PACE": config.out / "staging" / config.site / "pace",
        "AUTOTHROTTLE_ENABLED": polite,
        "AUTOTHROTTLE_START_DELAY": config.delay,
        "AUTOTHROTTLE_MAX_DELAY": _LONGEST_DELAY,
        "CONCURRENT_REQUESTS": config.concurrency * 2,
        "CONCURRENT_REQUESTS_PER_DOMAIN": config.concurrency,
        "DOWNLOAD_TIMEOUT": config.timeout,
        "DOWNLOAD_MAXSIZE": MAX_BYTES,
        "DOWNLOAD_WARNSIZE": 0,
        "REDIRECT_MAX_TIMES": _REDIRECTS,
        "METAREFRESH_ENABLED": False,
        "COOKIES_ENABLED": False,
        "RETRY_TIMES": config.retries,
        "RETRY_HTTP_CODES": _TRANSIENT,
        "RETRY_GIVE_UP_LOG_LEVEL": "INFO",
        "DOWNLOADER_MIDDLEWARES": {
            "crawlers.middlewares.PolicyMiddleware": 50,
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            "crawlers.robots.RobotsMiddleware": 100,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            "crawlers.middlewares.BackOffMiddleware": 550,
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,  # the policy has the hosts
        },
        "LOG_LEVEL": "WARNING",
        "LOG_INSTALL_ROOT_HANDLER": False,
    }
    if not config.allow_private:
        values["DNS_RESOLVER"] = "crawlers.resolver.PublicResolver"
    if config.rendering != "never":
        from crawlers import browser  # Playwright is not needed for plain HTTP

        values |= browser.settings(config)
    return values
