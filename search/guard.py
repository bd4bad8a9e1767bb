"""What stands between the network and the routes: limits on bodies, security headers, metrics, errors as JSON."""

import asyncio
import logging
import reprlib
from collections.abc import Coroutine, Mapping
from time import perf_counter
from typing import Any, Final, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.errors import (
    BadRequestError,
    BusyError,
    GoneError,
    IndexMissingError,
    SearchError,
    TooLargeError,
    TooSlowError,
    UnauthorizedError,
)
from search.metrics import Metrics

MAX_BODY: Final = 10 * 2**20
"""Bytes of a request. The page shrinks larger photos before it sends them."""
MAX_UPLOADS: Final = 48
"""Bodies in memory at once; with `MAX_BODY` it bounds what clients can make the service hold."""
BODY_SECONDS: Final = 30.0  # to receive a body: a slow phone needs ten for a photo

_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

_ERROR_HEADERS: Final = {BusyError: {"retry-after": "1"}, UnauthorizedError: {"www-authenticate": "Bearer"}}
_UNTOLD: Final = {
    SearchError: "something went wrong here; it has been logged",
    IndexMissingError: "the index cannot be reached; it has been logged",
}
"""In place of messages that name folders, hosts and collections."""
_NO_FILE: Final = "Expected UploadFile"  # FastAPI's words of a text in place of a file, which name Python's types
_BODILESS: Final = ("GET", "HEAD", "OPTIONS")  # a body that comes with one of them is never read

log = logging.getLogger(__name__)
T = TypeVar("T")


class Guard:
    """ASGI middleware around all routes. `root_path` is the prefix of a proxy, which paths may begin with or not."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        max_body: int = MAX_BODY,
        seconds: float = BODY_SECONDS,
        root_path: str = "",
    ) -> None:
        self._app = app
        self._root_path = root_path
        self._metrics = metrics
        self._max_body = max_body
        self._seconds = seconds
        self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["root_path"] = self._root_path
        start = perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        uploading = scope["method"] not in _BODILESS
        try:
            if error := self._refusal(scope) if uploading else None:
                await error_response(error)(scope, receive, answer)
                return
            self._uploads += uploading
            try:
                await self._app(scope, self._limited(receive), answer)
            except Exception as surprise:
                if status:  # the answer has begun
                    raise
                log.exception("%s %s failed", scope["method"], scope["path"])
                await error_response(surprise)(scope, receive, answer)
            finally:
                self._uploads -= uploading
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.add("requests_total", route=route, status=str(status or 500))
            self._metrics.observe("request_seconds", perf_counter() - start, route=route)

    def _refusal(self, scope: Scope) -> SearchError | None:
        """Why a body is not even received."""
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._max_body:
            return TooLargeError(f"body: at most {self._max_body} bytes, got {declared}")
        if self._uploads >= MAX_UPLOADS:
            return BusyError(f"{self._uploads} uploads are under way, limit {MAX_UPLOADS}; try again in a second")
        return None

    def _limited(self, receive: Receive) -> Receive:
        """`receive` that stops a body which is too long, whatever length it declared, or too slow."""
        received = 0
        complete = False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def limited() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise TooSlowError(f"body: must arrive within {self._seconds} s") from error
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > self._max_body:
                raise TooLargeError(f"body: at most {self._max_body} bytes")
            return message

        return limited


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is given up when the client goes away: others wait behind it.

    Args:
        request: whose body was read.
        work: what its client waits for.

    Raises:
        GoneError: the client went away.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(request.receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise GoneError("nobody waits for the answer")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def error_response(error: Exception) -> JSONResponse:
    """JSON of an error. What is not the client's business says nothing of the inside."""
    known = error if isinstance(error, SearchError) and error.status != SearchError.status else SearchError()
    message = _UNTOLD.get(type(known), str(known))
    body = {"error": {"name": known.name, "message": message}}
    return JSONResponse(body, known.status, _ERROR_HEADERS.get(type(known)))


def install_handlers(app: FastAPI) -> None:
    """Answer what routes raise on purpose as JSON of one form; the rest is answered by `Guard`."""
    app.add_exception_handler(SearchError, _on_search_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_search_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SearchError)  # noqa: S101 - registered for that class only
    if error.status == SearchError.status or type(error) in _UNTOLD:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(error)


async def _on_validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return error_response(BadRequestError("; ".join(map(_broken, error.errors()))))


def _broken(item: Mapping[str, Any]) -> str:
    """Field and rule, and the value where it is one that can be shown."""
    field = ".".join(str(part) for part in item["loc"][1:])
    rule = "must be a file" if _NO_FILE in item["msg"] else item["msg"]
    got = f", got {reprlib.repr(item['input'])}" if isinstance(item["input"], int | float | str) else ""
    return f"{field}: {rule}{got}"


async def _on_http_exception(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    if isinstance(error.__cause__, SearchError):  # FastAPI wraps what a body's reader raises
        return error_response(error.__cause__)
    name = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    return JSONResponse({"error": {"name": name, "message": str(error.detail)}}, error.status_code, error.headers)
