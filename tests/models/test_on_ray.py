"""Training on a Ray cluster: the same as under `torchrun`, and the checkpoint comes to who asked for it."""

import json

import pytest

from models.checkpoint import open_checkpoint
from models.on_ray import main
from models.progress import read_progress
from models.run import train
from tests.models.test_ranks import values


def test_main__no_cluster_is_told(monkeypatch, capsys):
    def refuse(*_, **__):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr("models.on_ray.connect", refuse)
    assert main(["--", "encoder", "--preset", "tiny", "--data", "data", "--out", "out"]) == 2
    assert capsys.readouterr().err == (
        "models: no Ray cluster at auto: `ray start --head`, or name one with --address\n"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_main__two_workers_train_as_one_process_does(pairs, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(values()))
    out = tmp_path / "together"
    options = ["--workers", "2", "--", "encoder", "--config", str(config), "--data", str(pairs), "--out", str(out)]
    assert main(options) == 0
    train("encoder", values(), pairs, tmp_path / "alone")
    losses = [read_progress(tmp_path / name / "progress.jsonl", "step")[0]["loss"] for name in ("together", "alone")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert (
        open_checkpoint(out, "encoder")[1].metrics.keys()
        == open_checkpoint(tmp_path / "alone", "encoder")[1].metrics.keys()
    )
    assert read_progress(out / "progress.jsonl", "start")[0]["processes"] == 2


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_main__a_training_that_fails_ends_all(pairs, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(values(steps=0)))
    options = ["--config", str(config), "--data", str(pairs), "--out", str(tmp_path / "out")]
    assert main(["--workers", "2", "--", "encoder", *options]) == 2
    assert not (tmp_path / "out").exists()
