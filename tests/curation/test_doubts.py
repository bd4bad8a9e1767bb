"""Doubt is kept on disk: what was looked at once is not looked at again, and a take-down cleans it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation import doubts
from curation.__main__ import main
from curation.anchor_cloth import SITE
from curation.dataset import write_pair_dataset
from curation.dataset_plan import DatasetRules
from curation.doubts import PLACE, make_doubts, pair_key, read_doubts
from curation.noise import noise_scores
from curation.pair_rows import read_pairs
from curation.purge import purge_tables
from curation.republish import republish
from curation.review import Decision, Verdict, VerdictLog
from curation.tables import ShardedTable
from curation.takedown import Removal
from curation.versions import Versions
from tests.curation.builders import candidate_row, candidates, read_colours
from tests.curation.data_folder import make_data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data", [1, 2, 3, 4, 6, 7, 8, 9])


def _version(data: Path) -> Path:
    used = Versions(data / "pair_dataset").current
    assert used
    return used


def test_make_doubts__as_scored_directly_and_in_order(data: Path) -> None:
    assert read_doubts(data, _version(data)) is None
    table = make_doubts(data, _version(data))
    facts, crops, thumbnails = read_colours(read_pairs(_version(data)))
    direct = dict(zip(map(pair_key, facts), noise_scores(facts, crops, thumbnails).tolist(), strict=True))
    found = {pair_key(row): row["noise"] for row in table.to_pylist()}
    assert found.keys() == direct.keys()
    assert max(abs(found[key] - direct[key]) for key in found) < 2e-3  # colours are kept in half precision
    assert np.all(np.diff(table["noise"].to_numpy()) <= 0)
    assert read_doubts(data, _version(data)).equals(table)


def test_make_doubts__looks_at_new_pairs_only(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_doubts(data, _version(data)).to_pylist()[0]
    said = Verdict(*pair_key(first), Decision.REJECT, "ann")
    VerdictLog(data / "review" / "verdicts").append([said])
    republish(data)
    looked: list[Any] = []
    monkeypatch.setattr(doubts, "decode", looked.append)
    assert read_doubts(data, _version(data)) is None
    table = make_doubts(data, _version(data))
    assert (len(table), looked) == (7, [])
    assert pair_key(first) not in {pair_key(row) for row in table.to_pylist()}


def test_make_doubts__a_take_down_cleans_the_table(data: Path) -> None:
    gone = make_doubts(data, _version(data)).to_pylist()[0]["anchor_sha256"]
    done = purge_tables(data, Removal(pictures=frozenset([gone])))
    assert PLACE.as_posix() in {purged.place for purged in done}
    assert gone not in ShardedTable(data / PLACE).table(["anchor_sha256"])["anchor_sha256"].to_pylist()
    assert read_doubts(data, _version(data)) is None  # so it is made anew, from what is left


def test_make_doubts__leaves_out_what_came_ready_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [candidate_row(number) for number in (1, 2, 3)]
    rows += [candidate_row(number, site=SITE, box=None, detector_score=None) for number in (4, 6)]
    table = candidates(tmp_path / "pairs" / "candidate_pairs", {"000000": rows})
    write_pair_dataset(table, tmp_path / "pair_dataset", DatasetRules())
    with caplog.at_level(logging.INFO):
        found = make_doubts(tmp_path, _version(tmp_path))
    assert sorted(found["post_id"].to_pylist()) == [1, 2, 3]
    assert "3 pairs of version 0001 looked at, 0 cannot be read, 2 came ready-made" in caplog.text
    write_pair_dataset(candidates(tmp_path / "ready", {"000000": rows[3:]}), tmp_path / "pair_dataset", DatasetRules())
    assert len(make_doubts(tmp_path, _version(tmp_path))) == 0
    assert main(["review-export", str(tmp_path / "tasks"), "--data", str(tmp_path)]) == 2
    assert "there is no pair to review; those that came ready-made have no photo" in capsys.readouterr().err


def test_doubts__by_command(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doubts", "--data", str(data)]) == 0
    assert capsys.readouterr().out == '{"version": "0001", "pairs": 8}\n'
    assert read_doubts(data, _version(data)) is not None
    (data / "nothing").mkdir()
    assert main(["doubts", "--data", str(data / "nothing")]) == 2
