"""What the benchmark of training says of its measurements."""

import argparse
from pathlib import Path

import pytest

from benchmarks import training
from models.presets import preset


def test_speed__decoding_ahead_of_the_steps_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    length = preset("encoder", "tiny")["steps"]
    rows = {
        "prior": {"rows_per_second": 10.0, "apart": 0.0},
        "ours": {"rows_per_second": 20.0, "apart": length * 8 / 20.0},  # as long as all its steps
    }
    monkeypatch.setattr(training, "_child", lambda way, *_: rows[way])
    data = training._pairs(tmp_path, 8)
    assert training._speed(data, 8, 3) == {
        "pairs_per_second_vs_prior": 1.0,
        "of_steps": length,
        "of_pairs": 8,
        "in_steps_alone": 2.0,
    }


def test_largest__every_way_takes_a_step_with_the_optimisers_state(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, int] = {}

    def child(way: str, _network: str, _data: Path, batch: int, steps: int, _more: object = ()) -> dict[str, float]:
        taken[way] = steps
        return {"peak_mib": 100.0 + batch}

    monkeypatch.setattr(training, "_child", child)
    options = argparse.Namespace(network="tiny", prior_batch=4, micro=2, times=[1, 2])
    assert training._largest(Path(), options) == 1
    assert set(taken) == {"prior", "ours", "cached"}
    assert min(taken.values()) >= 2
