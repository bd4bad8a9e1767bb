"""A folder that no demo has filled is refused in one line."""

import sys
from pathlib import Path

import pytest

from benchmarks.audit import main


def test_main__folder_without_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "pair_dataset").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["audit", str(tmp_path / "data"), str(tmp_path / "other")])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"{tmp_path / 'other'} holds no pair_dataset" in capsys.readouterr().err
