"""The server process: its limits on connections, and how it ends without losing a query."""

from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from search.connection import PatientProtocol
from search.guard import BODY_SECONDS
from search.worker import PATIENCE

CONNECTIONS: Final = 512  # open at once; more are answered 503 without being read
_MARGIN: Final = 5.0  # seconds, beyond the longest that a query may take


class Draining:
    """Whether the service is about to end. Said by readiness, so that a proxy sends its queries elsewhere."""

    def __init__(self) -> None:
        self.on = False


class Server(uvicorn.Server):
    """uvicorn's server, which at SIGTERM or SIGINT first says that it is not ready, and goes on answering for a while.

    Then it takes no more connections, finishes the queries under way, and ends. A second signal ends the while.
    """

    def __init__(self, config: uvicorn.Config, draining: Draining, seconds: float) -> None:
        """Prepare it.

        Args:
            config: of uvicorn.
            draining: told when the end begins.
            seconds: how long to go on after the first signal: what a proxy takes to notice.
        """
        super().__init__(config)
        self._draining = draining
        self._seconds = seconds
        self._ticks_left: int | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, or end now."""
        if self._draining.on or not self._seconds:
            super().handle_exit(sig, frame)
            self._captured_signals.clear()  # uvicorn would raise it again at the end; an orderly end is no failure
            return
        self._draining.on = True
        self._ticks_left = round(self._seconds * 10)  # uvicorn ticks ten times a second

    async def on_tick(self, counter: int) -> bool:
        """End when the while is over."""
        if self._ticks_left is not None:
            self._ticks_left -= 1
            self.should_exit = self.should_exit or self._ticks_left < 0
        return await super().on_tick(counter)


def serve(app: FastAPI, draining: Draining, host: str, port: int, seconds: float = 0) -> None:
    """Serve until a signal ends it, and return when all queries are answered.

    Args:
        app: the service.
        draining: as the app knows it.
        host: address to listen on.
        port: port to listen on.
        seconds: how long to go on answering, not ready, after the first signal.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=round(BODY_SECONDS + PATIENCE + _MARGIN),
        server_header=False,
        log_level="warning",
    )
    Server(config, draining, seconds).run()
