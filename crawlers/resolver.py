"""Name resolution for Scrapy that never leads inside: the address that is connected to is the one that was checked."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from scrapy.resolver import CachingThreadedResolver  # noqa: TID253 - only Scrapy imports this file
from twisted.internet.error import DNSLookupError  # noqa: TID253


class PublicResolver(CachingThreadedResolver):
    """Refuses names of loopback, private and link-local addresses.

    The policy has looked each name up before, but a name may change its mind in between (DNS rebinding).
    """

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> Any:  # noqa: N802 - Twisted's interface
        """A Deferred of an IPv4 address; fails with `DNSLookupError` for one that is not public."""
        return super().getHostByName(name, timeout).addCallback(_public, name)


def _public(address: str, name: str) -> str:
    if not ipaddress.ip_address(address).is_global:
        raise DNSLookupError(f"{name} is the private address {address}")
    return address
