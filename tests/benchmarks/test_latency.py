"""A folder that no demo has filled is refused in one line."""

import sys
from pathlib import Path

import pytest

from benchmarks.latency import main


def test_main__folder_without_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["latency", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"{tmp_path} holds no examples/*.jpg" in capsys.readouterr().err
