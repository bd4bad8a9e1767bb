"""A connection that gives up on clients who never finish the head of a request, or never take an answer.

uvicorn limits how long an idle connection is kept, not how slowly a head may trickle in, nor for how long what it wrote
may lie untaken: a few hundred such clients would hold every connection there is.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10.0  # from the first byte of a request to the end of its head
ANSWER_SECONDS: Final = 60.0  # for a client to take what was written: a slow phone needs twenty for the longest answer


class PatientProtocol(H11Protocol):
    """uvicorn's connection, closed when a head takes longer than `HEAD_SECONDS`, an answer than `ANSWER_SECONDS`."""

    _deadline: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # writing is paused whenever the client has not taken everything
        self._watch()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what was written; closing would wait for that, too."""
        super().pause_writing()
        self._untaken = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has."""
        super().resume_writing()
        self._taken()

    def data_received(self, data: bytes) -> None:
        """Go on waiting, or stop when the head is complete."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop()
        self._taken()
        super().connection_lost(exc)

    def _watch(self) -> None:
        between = self.cycle is None or self.cycle.response_complete
        if not between:
            self._stop()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None
