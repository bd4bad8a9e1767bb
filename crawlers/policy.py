"""Which addresses a crawl may ask for: allowed hosts, no private networks, what robots.txt allows."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

_UNWANTED: Final = frozenset({"font", "media", "stylesheet", "websocket", "manifest", "ping", "eventsource"})
"""What a browser loads and a crawl does not need."""
BLOCKED: Final = "ERR_BLOCKED_BY_CLIENT"
"""What Chromium calls a request that was cut off by `redirect_refusal`."""


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
        self._checked: dict[str, str | None] = {}

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

    async def host_rules(self) -> str:
        """Chromium's `--host-resolver-rules`: each host at an address that was looked up and checked, no other name."""
        rules = []
        for host in sorted(self.hosts):
            addresses = await self._look_up(host)
            if addresses and (self._allow_private or not any(map(_is_private, addresses))):
                rules.append(f"MAP {host} [{addresses[0]}]" if ":" in addresses[0] else f"MAP {host} {addresses[0]}")
        return ", ".join([*rules, "MAP * ~NOTFOUND"])

    async def _private(self, host: str) -> str | None:
        if host not in self._checked:
            addresses = await self._look_up(host)
            if not addresses:
                return None  # the download itself will report that the name does not resolve
            private = next(filter(_is_private, addresses), None)
            self._checked[host] = f"host {host!r} is the private address {private}" if private else None
        return self._checked[host]

    async def _look_up(self, host: str) -> list[str]:
        """Addresses of a host, those of version 4 first; none when the name does not resolve."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return []
        return sorted({str(entry[4][0]) for entry in found}, key=lambda address: (":" in address, address))


def _is_private(address: str) -> bool:
    return not ipaddress.ip_address(address.split("%")[0]).is_global


_active: Policy | None = None


def activate(policy: Policy) -> None:
    """Make a policy the one that the browser's hooks ask; a crawl process has one."""
    global _active  # the hooks are named by import path and can carry no state
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


async def redirect_refusal(url: str) -> str | None:
    """Browser hook: why the target of a redirect may not be asked for, or None when it may."""
    return "no policy" if _active is None else await _active.refusal(url)


async def host_rules() -> str:
    """Browser hook: the names that a browser which starts now may resolve, and to what."""
    return "MAP * ~NOTFOUND" if _active is None else await _active.host_rules()
