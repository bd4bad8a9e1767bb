"""A webhook on this machine hears of a failed run; one that fails, fails nothing."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest

from pipelines.sensors import failures
from pipelines.webhook import failure_body, send


class _Hook(ThreadingHTTPServer):
    status = 200
    wait = 0.0
    heard: list[dict]

    def __init__(self) -> None:
        self.heard = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=s3cret"


class _Handler(BaseHTTPRequestHandler):
    server: _Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.wait)
        self.server.heard.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[_Hook]:
    with _Hook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_send__body_arrives(hook: _Hook) -> None:
    body = failure_body("retrain", "abc", ["encoder"])
    assert send(hook.url, body) is None
    assert hook.heard == [body]


def test_send__says_what_went_wrong_without_the_address(hook: _Hook) -> None:
    hook.status = 500
    assert send(hook.url, {}) == "answered 500"
    hook.wait = 1.0
    assert send(hook.url, {}, timeout=0.1) == "TimeoutError"
    assert send("http://127.0.0.1:1/s3cret", {}) == "URLError"
    assert send("file:///etc/passwd", {}) == "the address is neither http nor https"


@pytest.mark.parametrize("status", [200, 503])
def test_failures__tells_of_the_run_and_nothing_of_the_error(hook: _Hook, status: int) -> None:
    @dg.op
    def leak() -> None:
        raise ValueError("postgres://user:s3cret@host")

    @dg.job
    def leaky() -> None:
        leak()

    hook.status = status
    with dg.DagsterInstance.ephemeral() as instance:
        result = leaky.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            "failures", result.get_run_failure_event(), instance, result.dagster_run
        ).for_run_failure()
        assert list(failures(hook.url)(context) or []) == []
        assert [item.skip_message for item in failures("")(context)] == ["FASHION_WEBHOOK is not set"]
    assert [body["failed_steps"] for body in hook.heard] == [["leak"]]
    assert "s3cret" not in json.dumps(hook.heard)
