"""Misbehaviour on request, by rate or by query (`?fault=429`): refusals, delays, broken transfers, hostile pages."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

import numpy as np
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PLACES: Final = {
    "redirect-inside": b"http://169.254.169.254/latest/meta-data/",  # where clouds keep their credentials
    "redirect-loopback": b"http://127.0.0.2:9/",
    "redirect-forbidden": b"/bridge/",  # by robots.txt
    "redirect-loop": b"",  # to itself
}
_WALL: Final = b"<!doctype html><body><form id=consent>Cookies? <button>Accept</button></form></body>"
_SHELL: Final = b"""<!doctype html><div id="root"></div><script>
fetch(location.pathname + "?whole=1").then(answer => answer.text()).then(text => {
  document.open(); document.write(text); document.close();
});</script>"""
_HANG: Final = b"<!doctype html><div id=root></div><script>setTimeout(() => { for (;;); })</script>"
_PAGES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "wall": lambda _: _WALL,
    "shell": lambda _: _SHELL,  # JavaScript asks for the page, with a query that is not treated so again
    "hang": lambda _: _HANG,  # a script without end
    "markup": lambda page: page.replace(b'class="', b'class="v2-').replace(b'id="', b'id="v2-'),
}
"""What becomes of a page, by kind."""
KINDS: Final = ("429", "503", "500", "slow", "truncate", "drop", "endless", *_PLACES, *_PAGES)
_CHUNK: Final = 2**18  # bytes
_ENDLESS: Final = 2**27  # bytes after which even an endless body ends
_STREAM: Final = 0xFA17  # keeps these draws apart from the world's


class Faults:
    """ASGI layer around a site.

    Args:
        app: the site.
        seed: draws are the same for the same seed and order of requests.
        rates: kind → share of requests, 0-1; may be changed while it serves, as may `paths`.
        paths: path → kind, for every request of it. What is not named there leaves /robots.txt alone.
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
        paths: Mapping[str, str] | None = None,
        delay: float = 0.0,
        retry_after: int = 1,
        slow: float = 3.0,
    ) -> None:
        self._app = app
        self.rates = dict(rates or {})
        self.paths = dict(paths or {})
        self._delay = delay
        self._retry_after = retry_after
        self._slow = slow
        self._random = np.random.default_rng([seed, _STREAM])
        self.served: Counter[str] = Counter()

    def go_down(self) -> None:
        """Answer 503 to everything, robots.txt too, until `recover`."""
        self.rates, self.paths = {"503": 1.0}, {"/robots.txt": "503"}

    def recover(self) -> None:
        """Misbehave no more."""
        self.rates, self.paths = {}, {}

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
        elif kind in _PLACES:
            await _redirect(_PLACES[kind] or scope["raw_path"], send)
        elif kind == "endless":
            await _pour(send)
        else:
            if kind == "slow":
                await asyncio.sleep(self._slow)
            await self._app(scope, receive, _spoiled(send, kind))

    def _kind(self, scope: Scope) -> str | None:
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("fault", [""])[0]
        if asked in KINDS:
            return str(asked)
        if named := self.paths.get(scope["path"]):
            return named
        if scope["path"] == "/robots.txt" or b"whole=1" in scope["query_string"]:
            return None
        if not self.rates:
            return None
        draw = float(self._random.random())
        for kind, rate in self.rates.items():
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


def _spoiled(send: Send, kind: str | None) -> Send:
    """The way back of one response, perhaps a bad one."""
    if kind in ("truncate", "drop"):
        return _cut(send, kind)
    change = _PAGES.get(kind or "")
    return send if change is None else _rewritten(send, change)


async def _redirect(place: bytes, send: Send) -> None:
    headers = [(b"location", place), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _pour(send: Send) -> None:
    """A page without end and without a length."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    for _ in range(_ENDLESS // _CHUNK):
        await send({"type": "http.response.body", "body": b"<p>more" * (_CHUNK // 7), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _rewritten(send: Send, change: Callable[[bytes], bytes]) -> Send:
    """Change a page that exists; pictures, data and errors pass. The sites send a page in one piece."""
    held: list[Message] = []

    async def rewrite(message: Message) -> None:
        if message["type"] == "http.response.start":
            is_page = dict(message["headers"]).get(b"content-type", b"").startswith(b"text/html")
            if is_page and message["status"] == 200:
                held.append(message)
                return
        elif held:
            start, body = held.pop(), change(message.get("body", b""))
            message = {**message, "body": body}
            headers = [(k, v) for k, v in start["headers"] if k != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send(message)

    return rewrite


def _cut(send: Send, kind: str) -> Send:
    """Send half of the promised bytes (`truncate`) or none (`drop`), then let the server close the connection."""

    async def cut(message: Message) -> None:
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            message = {"type": "http.response.body", "body": body[: len(body) // 2] if kind == "truncate" else b""}
        await send(message)

    return cut
