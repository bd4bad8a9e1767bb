"""An S3 server on 127.0.0.1 (moto's), in a process of its own, as a fixture."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError

import pytest

_BUCKET = "shop"


@contextmanager
def serving(port: int) -> Iterator[str]:
    """Context manager: a bucket's URL, while every S3 client of this process and its children uses this server."""
    endpoint = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    known = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in known.items():
            patch.setenv(name, value)
        try:
            _wait(endpoint, server)
            _make_bucket()
            yield f"s3://{_BUCKET}"
        finally:
            server.kill()
            server.wait()


def _wait(endpoint: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "the S3 server ended"
        try:
            urllib.request.urlopen(endpoint, timeout=1).close()
        except (URLError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(endpoint)


def _make_bucket() -> None:
    import s3fs

    s3fs.S3FileSystem(use_listings_cache=False).mkdir(_BUCKET)


def free_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", int(os.environ.get("FASHION_TEST_PORT", "0"))))
        return int(listener.getsockname()[1])
