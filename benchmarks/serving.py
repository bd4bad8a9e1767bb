"""A search service in a process of its own, on a free port of this machine, whose memory can be watched."""

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

TOKEN = "a token for benchmarks"  # noqa: S105 - guards nothing
_START = 120.0  # seconds until the models are loaded


@dataclass(frozen=True, slots=True)
class Served:
    """A service that runs."""

    address: str
    process: psutil.Process

    @property
    def mib(self) -> float:
        """Resident memory."""
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def served(data: Path, batch: int) -> Iterator[Served]:
    """Serve a data folder; `batch` is the most queries that share a pass of the models."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = multiprocessing.get_context("spawn").Process(target=_serve, args=(data, port, batch))
    child.start()
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, child.is_alive)
        yield Served(address, psutil.Process(child.pid))
    finally:
        child.terminate()
        child.join()


def _serve(data: Path, port: int, batch: int) -> None:
    from search.memory import keep_memory_flat

    keep_memory_flat()
    import torch

    from search.app import create_app
    from search.query import SearchService
    from search.review import ReviewQueue
    from search.server import Draining, serve
    from search.worker import Worker

    torch.set_num_threads(1)
    service = SearchService.open(data)
    worker = Worker(service.answer_many, batch=batch)
    app = create_app(service, data / "examples", worker, review=(ReviewQueue(data), TOKEN))
    serve(app, Draining(), "127.0.0.1", port)


def _wait(address: str, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START
    while alive() and time.monotonic() < deadline:
        try:
            httpx.get(f"{address}/readyz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"{address} did not begin to serve")
