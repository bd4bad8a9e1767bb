"""Keeps one sandbox server running for all the crawls of a run, and lets it end by itself afterwards."""

import fcntl
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

_START_S: Final = 60.0
_IDLE_EXIT_S: Final = 120
"""Long enough for the pauses between two crawls of a run, short enough to leave nothing behind."""
_IDLE_MARGIN: Final = 1.3  # the sandbox looks now and then whether somebody asks
_TOLD: Final = frozenset({"seed", "posts", "photos"})
"""What every sandbox says of its world."""
_POSTS_PER_S: Final = 200  # that a large world gets more time for: it takes so long to draw, and is given up less soon


class SandboxError(Exception):
    """Raised by `ensure_serving` when the sandbox does not start, or another program or world holds its port."""


@dataclass(frozen=True)
class SandboxAddress:
    """Which world, and on which port (KREAM; OnTheLook is on the next one)."""

    seed: int
    posts: int
    photos: str
    port: int

    @property
    def urls(self) -> dict[str, str]:
        """Site → base URL. Ports are fixed, so that the addresses in the tables stay the same from run to run."""
        return {"kream": f"http://127.0.0.1:{self.port}", "onthelook": f"http://127.0.0.1:{self.port + 1}"}

    @property
    def world(self) -> list[str]:
        """Options of `python -m sandbox` that name the world."""
        return ["--photos", self.photos] if self.photos else ["--seed", str(self.seed), "--posts", str(self.posts)]


def ensure_serving(address: SandboxAddress) -> dict[str, str]:
    """Start the sandbox unless it already serves this world; return site → base URL.

    Several steps of a run may ask at once: a file lock lets one of them start it. Another world that the last run left
    there is waited for: it ends by itself.
    """
    with _own_file(address, "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        about = _about(address)
        if about is not None and not _same_world(about, address):
            _wait_for_end(about, address)
            about = None
        if about is None:
            _start(address)
    return address.urls


def _own_file(address: SandboxAddress, suffix: str) -> Path:
    """A temporary file of this user: that of another one could not be written to."""
    return Path(tempfile.gettempdir()) / f"fashion-sandbox-{os.getuid()}-{address.port}.{suffix}"


def _wait_for_end(about: dict[str, Any], address: SandboxAddress) -> None:
    """Until nobody listens on the port any more. What is asked would keep the other world alive, so nothing is."""
    log.warning("port %d still serves another world (%s): waiting for it to end", address.port, about)
    deadline = time.monotonic() + _IDLE_MARGIN * _idle_exit(int(about["posts"]))
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", address.port), timeout=5).close()
        except OSError:
            return
        time.sleep(1)
    raise SandboxError(
        f"port {address.port} serves another world ({about}): stop it or choose another FASHION_SANDBOX_PORT"
    )


def _idle_exit(posts: int) -> int:
    """Seconds without a request after which a world of so many posts ends."""
    return _IDLE_EXIT_S + _drawing(posts)


def _drawing(posts: int) -> int:
    """Seconds more that a world of so many posts is given."""
    return posts // _POSTS_PER_S


def _same_world(about: dict[str, Any], address: SandboxAddress) -> bool:
    if address.photos:
        return bool(about["photos"] == str(Path(address.photos).resolve()))
    return bool((about["seed"], about["posts"], about["photos"]) == (address.seed, address.posts, None))


def _about(address: SandboxAddress) -> dict[str, Any] | None:
    """What the sandbox says of itself; None when nobody answers. Raises `SandboxError` when another program does."""
    other = SandboxError(f"port {address.port} is in use by another program; set FASHION_SANDBOX_PORT")
    try:
        with urllib.request.urlopen(f"{address.urls['kream']}/__sandbox", timeout=5) as response:  # noqa: S310 - loopback
            about = dict(json.load(response))
    except urllib.error.HTTPError as error:
        error.close()
        raise other from error
    except OSError:  # nobody listens, or whoever does hangs up
        return None
    except (HTTPException, ValueError, TypeError) as error:
        raise other from error
    if not about.keys() >= _TOLD:
        raise other
    return about


def _start(address: SandboxAddress) -> None:
    printed = _own_file(address, "log")
    command = [
        "nice",  # as the crawls that ask it
        sys.executable,
        "-m",
        "sandbox",
        "serve",
        *address.world,
        "--port",
        str(address.port),
        "--idle-exit",
        str(_idle_exit(address.posts)),
    ]
    with printed.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    deadline = time.monotonic() + _START_S + _drawing(address.posts)
    while _about(address) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise SandboxError(f"the sandbox did not start on port {address.port}: {printed.read_text()[-2000:]}")
        time.sleep(0.2)
