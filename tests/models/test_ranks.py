"""Training by several processes: the same steps as by one, and no process left behind."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import psutil
import pytest
import torch  # noqa: TID253
from safetensors.torch import load_file
from torch import nn  # noqa: TID253

from models.checkpoint import open_checkpoint
from models.classifier.config import ClassifierConfig
from models.config import make_config
from models.detector.dataset import build_detection_dataset
from models.encoder.config import EncoderConfig
from models.encoder.loss import PairLoss
from models.errors import ConfigError, DataError
from models.presets import preset
from models.progress import read_progress
from models.ranks import ALONE, Ranks, _member, joined
from models.run import train
from tests.models import toys
from tests.models.encoder.test_train import SMALL

STILL = {  # nothing is drawn, so that it does not matter which process draws it
    **SMALL,
    "architecture": {**SMALL["architecture"], "drop_path_rate": 0.0},
    "steps": 3,
    "same_category": 0.0,
    "recolour": 0.0,
    "splice": 0.0,
    "flip": 0.0,
    "zoom": 0.0,
    "rotation": 0.0,
    "jitter": 0.0,
    "cast": 0.0,
    "erase": 0.0,
    "precision": "float32",
}


def values(**changes):
    return preset("encoder", "tiny", **{**STILL, **changes})


def first_loss(folder):
    return read_progress(folder / "progress.jsonl", "step")[0]["loss"]


def gradients(ranks, out=None):
    """Of a small model on this process's share of one batch."""
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    contrast = PairLoss(make_config(EncoderConfig, preset("encoder", "tiny")), 12)
    rows = torch.randn(2, 12, 6)
    own = torch.tensor(ranks.share(list(range(12))))
    labels = torch.tensor([0, 0, *range(2, 12)])
    anchors, positives = (nn.functional.normalize(model(side[own]), dim=1) for side in rows)
    loss = contrast(ranks.gather(anchors), ranks.gather(positives), ranks.gather(labels[own]))
    learner = nn.ModuleList([model, contrast])
    loss.backward()
    ranks.average_gradients(learner)
    return [parameter.grad for parameter in learner.parameters()]


def follow(ranks):
    gradients(ranks)
    ranks.agreed(lambda: pytest.fail("only the first is asked"))


def test_share__each_row_once_and_as_many_for_all():
    shares = [Ranks(number, 3).share(list(range(11))) for number in range(3)]
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert ALONE.share([1, 2]) == [1, 2]
    assert Ranks(1, 3).share([1, 2]) == []


def test_average_gradients__two_processes_have_the_gradient_of_one():
    with joined(2, follow) as ranks:
        together = gradients(ranks)
        assert ranks.agreed(lambda: "told") == "told"
    for shared, alone in zip(together, gradients(ALONE), strict=True):
        assert torch.allclose(shared, alone, atol=1e-6)


def refuse(_):
    raise DataError("data: no row")


def test_joined__an_error_of_another_is_one_line(capfd):
    with joined(2, refuse):
        pass
    told = capfd.readouterr().err
    assert "process 2 of 2: data: no row" in told
    assert "Traceback" not in told


def wait(_):
    time.sleep(600)


def test_joined__others_end_with_the_first_wherever_they_are():
    code = "from tests.models.test_ranks import joined, wait\nwith joined(2, wait): print('here', flush=True); wait(0)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "here\n"
        others = psutil.Process(first.pid).children(recursive=True)
        first.kill()
    _, alive = psutil.wait_procs(others, timeout=30)
    assert others
    assert not alive


def hear(store, number, said):
    with _member(store, number, 2) as ranks:
        said.put(ranks.agreed(lambda: time.sleep(8) or "measured"))


def test_agreed__waits_longer_than_for_a_gradient(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.distributed.distributed_c10d.default_pg_timeout", timedelta(seconds=4))
    fork = multiprocessing.get_context("fork")
    said = fork.SimpleQueue()
    both = [fork.Process(target=hear, args=(f"file://{tmp_path}/store", number, said)) for number in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert [said.get(), said.get()] == ["measured", "measured"]


def test_train__fewer_rows_than_processes(catalog, tmp_path):
    values = preset("classifier", "tiny", batch=1, processes=2)
    with pytest.raises(ConfigError, match="batch: 1 rows are too few for 2 processes"):
        train("classifier", values, catalog, tmp_path / "out")


def test_train_encoder__two_processes_see_the_loss_of_one(pairs, tmp_path):
    train("encoder", values(processes=1), pairs, tmp_path / "one")
    manifest = train("encoder", values(processes=2), pairs, tmp_path / "two")
    assert first_loss(tmp_path / "two") == pytest.approx(first_loss(tmp_path / "one"), abs=1e-4)
    assert manifest.metrics["step"] == STILL["steps"]


def test_train_encoder__two_processes_with_cached_gradients_learn_the_same(pairs, tmp_path):
    """Vectors are gathered over processes, activations held for four pairs at a time."""
    plain, cached = ({"optimiser": "adamw", "processes": 2, "micro_batch": size} for size in (0, 4))
    for name, changes in {"one": {**plain, "processes": 1}, "cached": cached}.items():
        train("encoder", values(**changes), pairs, tmp_path / name)
    assert first_loss(tmp_path / "cached") == pytest.approx(first_loss(tmp_path / "one"), abs=1e-4)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "cached"))
    moved = max(float((one[name] - other[name]).abs().max()) for name in one)
    assert moved < 1e-4  # three steps of 2e-3 at most


def test_train_encoder__torchrun_sees_the_loss_of_one(pairs, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(values(processes=1)))
    command = ["-m", "models", "encoder", "--config", config, "--data", pairs, "--out", tmp_path / "two"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([sys.executable, *launcher, *command], check=True, capture_output=True, timeout=240)
    train("encoder", values(processes=1), pairs, tmp_path / "one")
    assert first_loss(tmp_path / "two") == pytest.approx(first_loss(tmp_path / "one"), abs=1e-4)
    assert open_checkpoint(tmp_path / "two", "encoder")[1].metrics["step"] == STILL["steps"]


@pytest.mark.parametrize("killed", ["first", "other"])
def test_train_encoder__a_killed_process_ends_the_training(pairs, tmp_path, killed):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(values(processes=2, steps=100_000)))
    command = [sys.executable, "-m", "models", "encoder", "--config", str(config), "--data", str(pairs)]
    with subprocess.Popen([*command, "--out", str(tmp_path / "out")], stderr=subprocess.PIPE, text=True) as first:
        progress = tmp_path / "out" / "progress.jsonl"
        while not (progress.is_file() and '"step"' in progress.read_text()):
            assert first.poll() is None
            time.sleep(0.1)
        everyone = psutil.Process(first.pid).children(recursive=True)
        victim = first.pid if killed == "first" else _heaviest(everyone).pid
        os.kill(victim, signal.SIGKILL)
        _, text = first.communicate(timeout=60)
    psutil.wait_procs(everyone, timeout=60)
    assert not [process for process in everyone if process.is_running()]
    if killed == "other":
        assert first.returncode == 1
        assert "lost another of the processes" in text


def test_train_classifier__two_processes_see_the_loss_of_one(catalog, tmp_path):
    still = {name: value for name, value in STILL.items() if name in ClassifierConfig.model_fields}
    vit = {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 8}
    architecture = {**vit, "intermediate_size": 16, "image_size": 32}
    values = preset("classifier", "tiny", **{**still, "ground": 0.0, "architecture": architecture})
    for count in (1, 2):
        train("classifier", {**values, "processes": count}, catalog, tmp_path / str(count))
    assert first_loss(tmp_path / "2") == pytest.approx(first_loss(tmp_path / "1"), abs=1e-4)


def test_train_detector__two_processes_share_each_batch(tmp_path):
    """What is drawn differs, so the first losses are alike, not equal; both halves of the batch are in them."""
    folder = toys.coco_folder(tmp_path / "toy", 24)
    build_detection_dataset([toys.coco_source(folder)], tmp_path / "data", validation_share=0.2)
    small = {"steps": 2, "batch": 8, "height": 64, "width": 64, "threads": 1, "evaluations": 1, "workers": 1}
    values = preset("detector", "tiny", **{**small, "precision": "float32"})
    for count in (1, 2):
        train("detector", {**values, "processes": count}, tmp_path / "data", tmp_path / str(count))
    assert first_loss(tmp_path / "2") == pytest.approx(first_loss(tmp_path / "1"), rel=0.2)
    assert open_checkpoint(tmp_path / "2", "detector")[1].metrics["step"] == small["steps"]


def _heaviest(processes):
    """The one that trains: multiprocessing also starts a small one that watches over its resources."""
    return max(processes, key=lambda process: process.memory_info().rss)
