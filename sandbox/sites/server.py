"""Runs both sites in one process on 127.0.0.1."""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import uvicorn

from sandbox.sites.faults import Faults
from sandbox.sites.kream import KreamSite
from sandbox.sites.onthelook import OnTheLookSite
from sandbox.sites.pictures import PictureServer
from sandbox.sites.site import Site
from sandbox.sites.source import KREAM, ONTHELOOK, Source

HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 30.0
_LOOKS: Final = 10  # in the time after which it ends, whether somebody asked


@dataclass(frozen=True)
class ServeOptions:
    """How to serve. `port` is KREAM's and `port + 1` OnTheLook's; 0 takes two free ones."""

    port: int = 0
    delay: float = 0.0  # s before each response
    faults: Mapping[str, float] = field(default_factory=dict)  # kind → share of requests
    retry_after: int = 1  # s
    idle_exit: float | None = None  # s without a request after which the sites end; None: never
    paths: Mapping[str, str] = field(default_factory=dict)  # path → kind of fault
    until: datetime | None = None  # posts after it are not there yet


class Server:
    """Both sites of one source.

    `sites` holds them for those who want to read their counters or to change which posts are there, and `faults` what
    misbehaves in front of each. Both may be changed while it serves.
    """

    def __init__(self, source: Source, options: ServeOptions | None = None) -> None:
        self._options = options or ServeOptions()
        self._pictures = PictureServer(source)
        kream, onthelook = KreamSite(source, self._pictures), OnTheLookSite(source, self._pictures)
        self.sites: dict[str, Site] = {KREAM: kream, ONTHELOOK: onthelook}
        for site in self.sites.values():
            site.until = self._options.until
        self.faults = {
            name: Faults(
                app,
                seed=source.seed,
                rates=self._options.faults,
                paths=self._options.paths,
                delay=self._options.delay,
                retry_after=self._options.retry_after,
            )
            for name, app in ((KREAM, kream.build()), (ONTHELOOK, onthelook.build()))
        }
        self._sockets = _bind(self._options.port)
        self._servers = [
            uvicorn.Server(
                uvicorn.Config(
                    app,
                    log_level="critical",
                    access_log=False,
                    lifespan="off",
                    timeout_keep_alive=60,
                    timeout_graceful_shutdown=1,
                )
            )
            for app in self.faults.values()
        ]

    @property
    def urls(self) -> dict[str, str]:
        """Site name → address."""
        return {
            name: f"http://{HOST}:{sock.getsockname()[1]}" for name, sock in zip(self.sites, self._sockets, strict=True)
        }

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until `stop` (or SIGINT or SIGTERM in the main thread); call `ready` when both sites answer."""
        tasks = [
            asyncio.create_task(server.serve(sockets=[sock]))
            for server, sock in zip(self._servers, self._sockets, strict=True)
        ]
        while not all(server.started for server in self._servers) and not any(task.done() for task in tasks):
            await asyncio.sleep(0.01)
        ready()
        idle = [] if self._options.idle_exit is None else [asyncio.create_task(self._idle(self._options.idle_exit))]
        await asyncio.wait([*tasks, *idle], return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        await asyncio.gather(*tasks)
        self._pictures.close()

    async def _idle(self, seconds: float) -> None:
        """Return when no request has come for so long, or a tenth longer."""
        seen, quiet = -1, 0
        while quiet < _LOOKS:
            quiet = quiet + 1 if seen == self._requests else 0
            seen = self._requests
            await asyncio.sleep(seconds / _LOOKS)

    @property
    def _requests(self) -> int:
        return sum(server.server_state.total_requests for server in self._servers)

    def stop(self) -> None:
        """Ask both sites to end."""
        for server in self._servers:
            server.should_exit = True


@contextlib.contextmanager
def serving(source: Source, options: ServeOptions | None = None) -> Iterator[Server]:
    """Serve in a thread while the block runs.

    Raises:
        RuntimeError: the sites did not start in time.
    """
    server = Server(source, options)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(ready.set)), name="sandbox-sites", daemon=True)
    thread.start()
    if not ready.wait(_START_SECONDS):
        raise RuntimeError(f"the sandbox sites did not start within {_START_SECONDS} s")
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def _bind(port: int) -> list[socket.socket]:
    sockets = []
    for number in (port, port + 1 if port else 0):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, number))
        sockets.append(sock)
    logging.getLogger(__name__).debug("bound %s", [sock.getsockname() for sock in sockets])
    return sockets
