"""The deployment's own files at work: Postgres keeps the runs, and the proxy lets in whom it should.

Needs Debian's `postgresql` and `nginx-light`, and `pip install -e '.[postgres]'`; `sh deploy/check.sh` installs both.
"""

import http.client
import json
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.deploy.installation import HOST, PASSWORDS, Installation, missing

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}"),
]
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
CHEAP = {
    "selector": {
        "repositoryLocationName": "fashion-pairs",
        "repositoryName": "__repository__",
        "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": ["sandbox_truth"]}],
    },
    "runConfigData": {},
}
BY_GET = "/graphql?query=mutation%7BdeleteRun(runId%3A%22none%22)%7B__typename%7D%7D"
RUNS = "{ runsOrError { ... on Runs { results { runId status } } } }"


class Echo(BaseHTTPRequestHandler):
    """Stands where the search service does, and says which password it was given."""

    def do_GET(self) -> None:
        """Answer any path."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path, "authorization": self.headers["Authorization"]}).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[Installation]:
    with ExitStack() as stack:
        # Not pytest's own folder: Postgres runs as another user, who may not look into that.
        folder = stack.enter_context(TemporaryDirectory(prefix="fashion-deploy-"))
        site = Installation(Path(folder), stack)
        echo = stack.enter_context(HTTPServer(("127.0.0.1", site.ports["search"]), Echo))
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        stack.callback(echo.shutdown)
        site.postgres()
        site.dagster()
        site.nginx()
        yield site


def call(
    site: Installation, door: str, path: str = "/", group: str = "", body: Any = None, **headers: str
) -> tuple[int, Any]:
    """Status and answer of the proxy, asked by a browser of a group's member."""
    trust = ssl.create_default_context(cafile=str(site.folder / "tls/tls.crt"))
    connection = http.client.HTTPSConnection("127.0.0.1", site.ports[f"{door}_door"], timeout=60, context=trust)
    trust.check_hostname = False
    sent = {"Host": HOST, **headers}
    if group:
        sent["Authorization"] = "Basic " + b64encode(":".join(PASSWORDS[group]).encode()).decode()
    if body is not None:
        sent["Content-Type"] = "application/json"
    connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), sent)
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, json.loads(read) if read[:1] == b"{" else read


@pytest.mark.parametrize("door", ["search", "view", "operate"])
@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info"])
def test_proxy__strangers_stay_outside(site: Installation, door: str, path: str) -> None:
    assert call(site, door, path)[0] in {401, 405}  # 405: a query by GET is refused before anybody is asked


def test_proxy__other_names_get_no_answer(site: Installation) -> None:
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        call(site, "view", group="viewers", Host="attacker.example")


def test_proxy__viewers_may_not_operate(site: Installation) -> None:
    assert call(site, "operate", group="viewers")[0] == 401
    assert call(site, "operate", "/server_info", group="operators")[0] == 200


def test_proxy__passwords_stay_at_the_door_and_review_tokens_pass(site: Installation) -> None:
    assert call(site, "search", "/api/catalog", group="viewers")[1]["authorization"] is None
    answer = call(site, "search", "/api/review/queue", Authorization="Bearer token")[1]
    assert answer["authorization"] == "Bearer token"
    assert call(site, "search", "/metrics", group="viewers")[0] == 404


def test_view__reads_and_refuses_mutations(site: Installation) -> None:
    status, answer = call(site, "view", "/graphql", "viewers", {"query": "{ version }"})
    assert (status, list(answer["data"])) == (200, ["version"])
    launch = {"query": LAUNCH, "variables": {"params": CHEAP}}
    answer = call(site, "view", "/graphql", "viewers", launch)[1]
    assert answer["data"]["launchRun"]["__typename"] == "UnauthorizedError"


def test_operate__no_mutation_by_a_link_or_from_another_page(site: Installation) -> None:
    assert call(site, "operate", BY_GET, "operators")[0] == 405
    foreign = {"Origin": "https://attacker.example"}
    assert call(site, "operate", "/graphql", "operators", {"query": RUNS}, **foreign)[0] == 403
    own = {"Origin": f"https://{HOST}"}
    assert call(site, "operate", "/graphql", "operators", {"query": RUNS}, **own)[0] == 200


def test_webserver__alone_would_execute_a_mutation_by_get(site: Installation) -> None:
    """Why the proxy refuses it. When this fails, Dagster has mended it, and the documents may say so."""
    connection = http.client.HTTPConnection("127.0.0.1", site.ports["operate"], timeout=60)
    connection.request("GET", BY_GET)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["data"]["deleteRun"]["__typename"] == "RunNotFoundError"  # looked for, not refused


def test_operate__a_run_is_kept_in_postgres(site: Installation) -> None:
    launch = {"query": LAUNCH, "variables": {"params": CHEAP}}
    started = call(site, "operate", "/graphql", "operators", launch)[1]["data"]["launchRun"]
    assert started["__typename"] == "LaunchRunSuccess", started
    run = started["run"]["runId"]
    deadline = time.monotonic() + 240
    while (status := site.ask(f"select status from runs where run_id = '{run}'")) not in {"SUCCESS", "FAILURE"}:  # noqa: S608 - our own run
        assert time.monotonic() < deadline, (status, (site.folder / "daemon.log").read_text()[-3000:])
        time.sleep(1)
    assert status == "SUCCESS"
    assert int(site.ask(f"select count(*) from event_logs where run_id = '{run}'")) > 10  # noqa: S608 - our own run
    assert (site.folder / "data/report/truth/manifest.json").is_file()
    seen = call(site, "view", "/graphql", "viewers", {"query": RUNS})[1]["data"]["runsOrError"]["results"]
    assert {"runId": run, "status": "SUCCESS"} in seen
