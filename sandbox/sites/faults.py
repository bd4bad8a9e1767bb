"""Misbehaviour on request: refusals, delays and broken transfers, by rate or by query (`?fault=429`)."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

import numpy as np
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KINDS: Final = ("429", "503", "500", "slow", "truncate", "drop")
_STREAM: Final = 0xFA17  # keeps these draws apart from the world's


class Faults:
    """ASGI layer around a site.

    Args:
        app: the site.
        seed: draws are the same for the same seed and order of requests.
        rates: kind → share of requests, 0-1.
        delay: seconds before every response.
        retry_after: seconds that a 429 or 503 asks the client to wait.
        slow: seconds of a `slow` response.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        seed: int = 0,
        rates: Mapping[str, float] | None = None,
        delay: float = 0.0,
        retry_after: int = 1,
        slow: float = 3.0,
    ) -> None:
        self._app = app
        self._rates = dict(rates or {})
        self._delay = delay
        self._retry_after = retry_after
        self._slow = slow
        self._random = np.random.default_rng([seed, _STREAM])
        self.served: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, perhaps badly."""
        if scope["type"] != "http" or scope["path"] == "/__sandbox":
            await self._app(scope, receive, send)
            return
        if self._delay:
            await asyncio.sleep(self._delay)
        kind = self._kind(scope)
        if kind is not None:
            self.served[kind] += 1
        if kind in ("429", "503", "500"):
            await self._refuse(int(kind), send)
            return
        if kind == "slow":
            await asyncio.sleep(self._slow)
        await self._app(scope, receive, _cut(send, kind) if kind in ("truncate", "drop") else send)

    def _kind(self, scope: Scope) -> str | None:
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("fault", [""])[0]
        if asked in KINDS:
            return str(asked)
        if not self._rates or scope["path"] == "/robots.txt":
            return None
        draw = float(self._random.random())
        for kind, rate in self._rates.items():
            if draw < rate:
                return kind
            draw -= rate
        return None

    async def _refuse(self, status: int, send: Send) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
        if status != 500:
            headers.append((b"retry-after", str(self._retry_after).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"later"})


def _cut(send: Send, kind: str) -> Send:
    """Send half of the promised bytes (`truncate`) or none (`drop`), then let the server close the connection."""

    async def cut(message: Message) -> None:
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            message = {"type": "http.response.body", "body": body[: len(body) // 2] if kind == "truncate" else b""}
        await send(message)

    return cut
