"""The data folder that a command means: what is named, else that of the environment, else `data`."""

import argparse
from pathlib import Path

import pytest

from curation.__main__ import main
from curation.options import VARIABLE, add_data


def chosen(*arguments: str) -> Path:
    parser = argparse.ArgumentParser()
    add_data(parser)
    folder: Path = parser.parse_args(arguments).data
    return folder


def test_add_data__named_before_environment_before_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data", "named", "environment"):
        (tmp_path / name).mkdir()
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen() == Path("data")
    monkeypatch.setenv(VARIABLE, "")
    assert chosen() == Path("data")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "environment"))
    assert chosen() == tmp_path / "environment"
    assert chosen("--data", "named") == Path("named")


@pytest.mark.parametrize("command", [["versions"], ["dedup", "find", "x.jpg"], ["publish"]])
def test_existing__folder_that_is_not_there_is_told(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit, match="2"):
        main(command)
    assert f"no data folder at {tmp_path / 'nowhere'}; give --data or set FASHION_DATA" in capsys.readouterr().err
