"""The search for pages of other sites: cross-origin resource sharing (CORS) of the routes that a shop's page needs."""

import re
from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from search.errors import BadRequestError

CROSS_ORIGIN: Final = {"cross-origin-resource-policy": "cross-origin"}
"""Of a picture that pages of other sites may show."""
_SHARED: Final = ("/api/search", "/api/catalog", "/api/products/")  # the review is for its own page only
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:\d+)?")  # as browsers send it


class Sharing:
    """ASGI middleware around all others, so that a page can also read why it was refused."""

    def __init__(self, app: ASGIApp, origins: Sequence[str], root_path: str = "") -> None:
        """Prepare it.

        Args:
            app: the service.
            origins: whose pages may search.
            root_path: prefix of a proxy, which paths may begin with or not.
        """
        self._app = app
        self._shared = CORSMiddleware(app, origins, ("GET", "POST"), expose_headers=("retry-after",))
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        shared = scope["type"] == "http" and scope["path"].removeprefix(self._root_path).startswith(_SHARED)
        await (self._shared if shared else self._app)(scope, receive, send)


def checked_origins(origins: Sequence[str]) -> Sequence[str]:
    """Those very origins. Raises `BadRequestError` for what no browser would send, such as one with a path."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise BadRequestError(f"origin: must be as https://shop.example, without a path, got {origin!r}")
    return origins
