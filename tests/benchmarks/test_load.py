"""The load of a service: only its answers are timed, and a folder that no demo has filled is refused in one line."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from benchmarks import load


def test_main__folder_without_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["load", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        load.main()
    assert f"{tmp_path} holds no examples/*.jpg" in capsys.readouterr().err


def test_load__failures_are_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def client(**_: Any) -> httpx.AsyncClient:
        return httpx_client(transport=httpx.MockTransport(lambda _: httpx.Response(503)), base_url="http://shop")

    httpx_client = httpx.AsyncClient
    monkeypatch.setattr(load.httpx, "AsyncClient", client)
    service: Any = SimpleNamespace(address="http://shop", mib=1.0)
    with pytest.raises(SystemExit, match=r"no query was answered.*503"):
        asyncio.run(load._load(service, [b"photo"], clients=1, seconds=0.01))
