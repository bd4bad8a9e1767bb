"""The sandbox as a site to crawl: what another try cannot help is not tried again."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, TCPServer

import dagster as dg
import pytest

from assets import sandbox_server
from assets.resources import SandboxSites
from assets.sandbox_server import SandboxAddress, SandboxError, ensure_serving
from sandbox.sites.server import serving
from sandbox.world import World


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which another program answers: with 501 to whatever it is asked."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_crawler_options__port_of_another_program(taken_port: int) -> None:
    sites = SandboxSites(name="world", seed=1, posts=40, port=taken_port, block_size=100)
    with pytest.raises(dg.Failure, match="in use by another program") as raised, sites.crawler_options("kream"):
        pass
    assert raised.value.allow_retries is False


def test_ensure_serving__users_of_one_machine_have_files_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    address = SandboxAddress(1, 40, "", 8600)
    files = set()
    for user in (1000, 1001):
        monkeypatch.setattr(os, "getuid", lambda user=user: user)
        files |= {sandbox_server._own_file(address, "lock"), sandbox_server._own_file(address, "log")}
    assert len(files) == 4


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\n<html>a page</html>",
        b"HTTP/1.0 200 OK\r\n\r\n[1, 2]",
        b'HTTP/1.0 200 OK\r\n\r\n{"status": "ok"}',
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["page", "list", "status", "no http"],
)
def test_ensure_serving__whatever_another_program_answers(answer: bytes) -> None:
    class Other(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(answer)

    with TCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(SandboxError, match="in use by another program"):
            ensure_serving(SandboxAddress(1, 5, "", server.server_address[1]))
        server.shutdown()


@pytest.fixture
def left_behind() -> Iterator[tuple[int, threading.Event]]:
    """A port on which another world is served, and what is set when that may end."""
    ended = threading.Event()
    with serving(World(2, 5)) as server:
        port = int(server.urls["kream"].rsplit(":", 1)[1])
        threading.Thread(target=lambda: ended.wait() and server.stop(), daemon=True).start()
        yield port, ended
        ended.set()


def test_ensure_serving__waits_for_the_world_that_the_last_run_left(left_behind: tuple[int, threading.Event]) -> None:
    port, ended = left_behind
    threading.Timer(3, ended.set).start()
    run = f"from assets.sandbox_server import *; print(ensure_serving(SandboxAddress(1, 5, '', {port}))['kream'])"
    done = subprocess.run([sys.executable, "-c", run], check=True, capture_output=True, text=True)
    with urllib.request.urlopen(f"{done.stdout.strip()}/__sandbox", timeout=5) as response:
        about = json.load(response)
    os.kill(about["pid"], signal.SIGTERM)
    assert about["seed"] == 1


def test_ensure_serving__another_world_that_does_not_end(
    left_behind: tuple[int, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_server, "_IDLE_EXIT_S", 1)
    with pytest.raises(SandboxError, match="another world"):
        ensure_serving(SandboxAddress(1, 5, "", left_behind[0]))
