"""Ports for the sandbox, which is told its port by those that start it and by those that crawl it."""

import random
import socket
from typing import Final

_FREE: Final = range(20_000, 32_000, 2)
"""Below those that the system hands out itself: another test would get one before the sandbox starts."""


def two_ports() -> int:
    """A port that is free, and so is the one above it: one for each site."""
    while True:
        port = random.choice(_FREE)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
        return port
