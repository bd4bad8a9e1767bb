"""Probes of what listens, here and elsewhere: ports, Dagster's daemon, addresses that settings name, remote storage."""

import json
import re
import socket
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from assets.world import claimed_world
from curation.places import place
from pipelines.doctor.finding import Finding, Patient
from pipelines.doctor.folders import writable
from pipelines.environments import PREFIX, Settings, masked, variable

_PATIENCE: Final = 3.0  # s
_STALE: Final = 300.0  # s without a sign of life; daemons give one every 30
_ADDRESS: Final = re.compile(r"^(?:[a-z][\w+]*://)?(?:[^/@\s]*@)?\[?([\w.:-]+?)\]?:(\d{2,5})(?:/\S*)?$")
_WEB: Final = {"http": 80, "https": 443}
_SERVED: Final = {3000: "the Dagster UI (make dev)", 8700: "the search page (make serve)"}


def ports(patient: Patient) -> list[Finding]:
    """The ports of the sandbox, the UI and the search page are free, or held by themselves."""
    sandbox = patient.settings.sandbox_port
    findings = [] if patient.full else [_sandbox_port(port) for port in (sandbox, sandbox + 1)]
    for port, what in _SERVED.items():
        busy = _listens("127.0.0.1", port)
        told = f"{port}, of {what}, is {'in use: it runs already, or another program has it' if busy else 'free'}"
        findings.append(Finding("ports", "warn" if busy else "ok", told))
    return findings


def _sandbox_port(port: int) -> Finding:
    if not _listens("127.0.0.1", port):
        return Finding("ports", "ok", f"{port}, of the sandbox, is free")
    about = _sandbox(port)
    if about is None:
        told = f"{port}, of the sandbox, is in use by another program"
        return Finding("ports", "fail", told, f"stop it, or set {PREFIX}SANDBOX_PORT")
    return Finding("ports", "ok", f"{port} serves a sandbox: {about}")


def _sandbox(port: int) -> dict[str, Any] | None:
    """What the sandbox on a port says of itself; None when something else answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/__sandbox", timeout=_PATIENCE) as response:
            return dict(json.load(response))
    except (OSError, ValueError):
        return None


def daemon(patient: Patient) -> list[Finding]:
    """Dagster's daemon gave a sign of life: without it, schedules and sensors do nothing."""
    home = patient.environment.get("DAGSTER_HOME", "")
    if not home or not (Path(home) / "dagster.yaml").is_file():
        return []
    import dagster as dg

    with dg.DagsterInstance.from_config(home) as instance:
        beats = instance.get_daemon_heartbeats()
    start = "make dev, or `dagster-daemon run` as a service"
    if not beats:
        return [Finding("daemon", "warn", "never ran here: schedules and sensors do nothing", start)]
    stale = time.time() - max(beat.timestamp for beat in beats.values())
    if stale > _STALE:
        return [Finding("daemon", "warn", f"no sign of life for {stale / 60:.0f} minutes", start)]
    errors = [error.message.strip() for beat in beats.values() for error in beat.errors or []]
    if errors:
        return [Finding("daemon", "fail", f"reports {errors[0]}", "see its log")]
    return [Finding("daemon", "ok", f"alive {stale:.0f} s ago")]


def addresses(patient: Patient) -> list[Finding]:
    """Every address that a setting names answers, such as Milvus, a cluster's head or the webhook."""
    findings = []
    for name in Settings.model_fields:
        value = str(getattr(patient.settings, name) or "")
        if (address := _address(value)) is None:
            continue
        there = _listens(*address)
        told = f"{variable(name)}={masked(name, value)} {'answers' if there else 'does not answer'}"
        findings.append(
            Finding("addresses", "ok" if there else "fail", told, "" if there else "start it, or open the way to it")
        )
    return findings


def _address(value: str) -> tuple[str, int] | None:
    """Host and port; those of a web address without a port are its protocol's."""
    if (match := _ADDRESS.match(value)) is not None:
        return match[1], int(match[2])
    parts = urlsplit(value)
    return (parts.hostname, _WEB[parts.scheme]) if parts.scheme in _WEB and parts.hostname else None


def contact(patient: Patient) -> list[Finding]:
    """Real sites are told who crawls them, and where to complain."""
    if not patient.full:
        return [Finding("contact", "ok", "not needed in the sandbox")]
    name = patient.settings.user_agent
    if re.search(r"\S@\S|https?://\S", name):
        return [Finding("contact", "ok", name)]
    told = f"{variable('user_agent')} gives the sites no address at which somebody answers"
    return [Finding("contact", "warn", told, f"{variable('user_agent')}='our-shop/1.0 (crawler@example.com)'")]


def storage(patient: Patient) -> list[Finding]:
    """Where tables lie that are not in the data folder, it can be written, read and deleted from; they are of the world
    that the settings name, or none is there yet."""
    url, world = patient.settings.tables_at, patient.settings.world
    if not url:
        return []
    found = _tried(url) if "://" in url else writable("storage", "TABLES", Path(url))
    if found.level == "ok" and (owner := claimed_world(place(url))) not in (None, world):
        told = f"{masked('tables', url)} holds {owner!r}, not {world!r}"
        return [Finding("storage", "fail", told, f"set {PREFIX}TABLES to another place, or settings to that world")]
    return [found]


def _tried(url: str) -> Finding:
    try:
        import fsspec

        files, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        protocol = url.partition("://")[0]
        remedy = f"pip install the fsspec driver of {protocol}, such as s3fs for s3"
        return Finding("storage", "fail", f"{masked('tables', url)}: {error}", remedy)
    trial = f"{root.rstrip('/')}/.doctor-{uuid.uuid4().hex}"
    files.pipe_file(trial, b"trial")
    same = files.cat_file(trial) == b"trial"
    files.rm_file(trial)
    told = f"{masked('tables', url)} {'can be written to' if same else 'gives back other bytes than were written'}"
    return Finding("storage", "ok" if same else "fail", told)


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE):
            return True
    except OSError:
        return False
