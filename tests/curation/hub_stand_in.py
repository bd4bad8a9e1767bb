"""A stand-in of the hub's HTTP API on 127.0.0.1: one repository of files, git-LFS uploads, commits, downloads."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

import pytest

_COMMIT = "0" * 40
_LFS = (".parquet", ".safetensors")


class Hub(ThreadingHTTPServer):
    """Holds one repository, of a dataset or of a model."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}  # git-LFS, by sha256
        self.sent: list[str] = []  # sha256 of each object that was uploaded
        self.commits: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serve_hub() -> Iterator[Hub]:
    hub = Hub()
    thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub of this test alone, with which `huggingface_hub` talks unless told otherwise."""
    with serve_hub() as served:
        for name, value in (
            ("HF_HUB_DISABLE_XET", True),  # plain git-LFS, which the stand-in knows
            ("HF_HUB_OFFLINE", False),  # it is on this machine
            ("ENDPOINT", served.url),
            ("HUGGINGFACE_CO_URL_TEMPLATE", served.url + "/{repo_id}/resolve/{revision}/{filename}"),
            ("HF_HUB_CACHE", str(tmp_path / "hub")),
        ):
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        yield served


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        files = sorted(self.server.files.items())
        if "/resolve/" in self.path:
            name = self.path.rpartition("/")[2]
            if name in self.server.files:
                self._send_file(self.server.files[name])
            else:
                self._answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        elif self.path.endswith("/lfs-files"):
            self._answer([_stored(oid, data) for oid, data in self.server.objects.items()])
        elif "/tree/" in self.path:
            self._answer([_entry(path, data) for path, data in files])
        else:
            self._answer({"id": "me/pairs", "sha": _COMMIT, "siblings": [{"rfilename": path} for path, _ in files]})

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def do_PUT(self) -> None:
        digest, data = self.path.rpartition("/")[2], self._body()
        if hashlib.sha256(data).hexdigest() != digest:
            return self._answer({"error": "digest"}, 400)
        self.server.objects[digest] = data
        self.server.sent.append(digest)
        return self._answer({})

    def do_POST(self) -> None:
        body = self._body()
        if self.path.endswith("/preupload/main"):
            modes = [(f["path"], "lfs" if f["path"].endswith(_LFS) else "regular") for f in json.loads(body)["files"]]
            self._answer({"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._answer({"transfer": "basic", "objects": [self._object(o) for o in json.loads(body)["objects"]]})
        elif self.path.endswith("/commit/main") or "/commit/main?" in self.path:
            self._commit([json.loads(line) for line in body.splitlines()])
        elif self.path.endswith("/lfs-files/batch"):
            for oid in json.loads(body)["deletions"]["sha"]:
                del self.server.objects[oid]
            self._answer({})
        elif "super-squash" in self.path:
            self.server.commits[:] = ["squashed"]
            self._answer({})
        else:
            self._answer({"url": f"{self.server.url}/datasets/me/pairs", "id": "me/pairs"})

    def _object(self, wanted: dict[str, Any]) -> dict[str, Any]:
        there = wanted["oid"] in self.server.objects
        upload = {"upload": {"href": f"{self.server.url}/lfs/{wanted['oid']}"}}
        return {"oid": wanted["oid"], "size": wanted["size"], **({} if there else {"actions": upload})}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                self.server.files[value["path"]] = self.server.objects[value["oid"]]
            elif key == "deletedFile":
                del self.server.files[value["path"]]
            else:
                self.server.commits.append(value["summary"])
        self._answer({"commitUrl": f"{self.server.url}/me/pairs/commit/1", "commitOid": _COMMIT})

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send_file(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", _COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _answer(self, value: Any, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _stored(oid: str, data: bytes) -> dict[str, Any]:
    named = {"fileOid": oid, "oid": oid[:24], "filename": "a shard"}
    return {**named, "size": len(data), "pushedAt": "2026-05-01T10:00:00.000Z"}


def _entry(path: str, data: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    entry = {"type": "file", "path": path, "size": len(data), "oid": blob}
    if path.endswith(_LFS):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry
