"""Which addresses a crawl may ask for: allowed hosts, no private networks, what robots.txt allows."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

_UNWANTED: Final = frozenset({"font", "media", "stylesheet", "websocket", "manifest", "ping", "eventsource"})
"""What a browser loads and a crawl does not need."""


class Policy:
    """The rules of one crawl.

    Args:
        hosts: the only host names that may be asked.
        allow_private: allow loopback, private and link-local addresses.
    """

    def __init__(self, hosts: frozenset[str], *, allow_private: bool) -> None:
        self.hosts = hosts
        self._allow_private = allow_private
        self._robots: Callable[[str], Awaitable[bool]] | None = None
        self._resolved: dict[str, str | None] = {}

    def ask_robots(self, allowed: Callable[[str], Awaitable[bool]]) -> None:
        """Set who is asked whether robots.txt allows an address."""
        self._robots = allowed

    async def refusal(self, url: str, *, robots: bool = True) -> str | None:
        """Why an address may not be asked for, or None when it may. Names are resolved, so that none leads inside."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https"):
            return f"scheme {parts.scheme!r} is not http or https"
        if host not in self.hosts:
            return f"host {host!r} is not one of {sorted(self.hosts)}"
        if not self._allow_private and (reason := await self._private(host)):
            return reason
        if robots and self._robots is not None and not await self._robots(url):
            return "forbidden by robots.txt"
        return None

    async def _private(self, host: str) -> str | None:
        if host not in self._resolved:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError:
                return None  # the download itself will report that the name does not resolve
            addresses = sorted({str(entry[4][0]) for entry in found})
            private = [address for address in addresses if not ipaddress.ip_address(address.split("%")[0]).is_global]
            self._resolved[host] = f"host {host!r} is the private address {private[0]}" if private else None
        return self._resolved[host]


_active: Policy | None = None


def activate(policy: Policy) -> None:
    """Make a policy the one that `abort` asks; a crawl process has one."""
    global _active  # the browser hook is named by import path and can carry no state
    _active = policy


async def abort(request: Any) -> bool:
    """Browser hook: whether a request that a page makes must not leave.

    Refuses what the policy refuses, what a crawl does not need, and pictures in a selected size: their originals are
    fetched once instead. Scrapy's own robots.txt and delay rules never see these requests.
    """
    if _active is None or request.resource_type in _UNWANTED:
        return True
    if request.resource_type == "image" and urlsplit(request.url).query:
        return True
    return await _active.refusal(request.url) is not None
