"""The audit's benchmark on folders that hold less than it asks for."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.audit import main
from curation.tables import ShardedTable
from tests.curation.data_folder import make_data


def test_main__folder_without_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "pair_dataset").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["audit", str(tmp_path / "data"), str(tmp_path / "other")])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"{tmp_path / 'other'} holds no pair_dataset" in capsys.readouterr().err


def test_main__shares_are_of_the_pictures_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = (make_data(tmp_path / name, numbers) for name, numbers in (("a", range(6)), ("b", range(50, 53))))
    monkeypatch.setattr(sys, "argv", ["audit", str(ours), str(theirs)])
    main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    pairs = sum(ShardedTable((data / "pair_dataset").resolve()).rows for data in (ours, theirs))
    assert figures["pictures"] == 2 * pairs  # a photo and a thumbnail of each
    assert figures["ours-photos"] > 0.5
    assert figures["theirs-photos"] == 0
