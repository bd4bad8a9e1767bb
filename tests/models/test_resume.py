"""A training that was killed goes on by itself, and ends as one that nobody disturbed: bit for bit, on a CPU."""

import multiprocessing
import signal
import time

import pytest

from models.presets import preset
from models.progress import read_progress
from models.run import train
from models.states import FOLDER
from tests.models import toys
from tests.models.conftest import TINY
from tests.models.encoder.test_train import SMALL

OFTEN = 1e-9  # minutes between two states: one after every step
DROPS = {"drop_path_rate": 0.2, "hidden_dropout_prob": 0.1}
ENCODER = {**SMALL, "architecture": {**SMALL["architecture"], **DROPS}, "batch": 16, "splice": 0.5, "evaluations": 4}


def killed(kind, values, data, out, after):
    """Train in a process of its own and kill it when the state of the step `after` is there."""
    child = multiprocessing.get_context("fork").Process(target=train, args=(kind, values, data, out))
    child.start()
    while not any(int(path.stem) >= after for path in (out / FOLDER).glob("*.json")):
        assert child.is_alive()
        time.sleep(0.01)
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL


def assert_goes_on(kind, values, data, tmp_path, after):
    out, whole = tmp_path / "killed", tmp_path / "whole"
    values = {**values, "checkpoint_every": OFTEN}
    killed(kind, values, data, out, after)
    manifests = [train(kind, values, data, folder) for folder in (out, whole)]
    starts, steps = ([row["step"] for row in read_progress(out / "progress.jsonl", name)] for name in ("start", "step"))
    assert after <= starts[-1] < values["steps"]
    assert steps == [row["step"] for row in read_progress(whole / "progress.jsonl", "step")]
    assert not (out / FOLDER).exists()
    weights = [(folder / "model.safetensors").read_bytes() for folder in (out, whole)]
    assert weights[0] == weights[1]
    timed = {"rows_per_second", "data_wait"}
    first, second = ({k: v for k, v in manifest.metrics.items() if k not in timed} for manifest in manifests)
    assert first == second


def test_train_classifier__goes_on_after_a_kill(catalog, tmp_path):
    small = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    changes = {**TINY, "steps": 24, "batch": 16, "height": 32, "width": 32, "evaluations": 4, "ema": 0.9}
    values = preset("classifier", "tiny", **{**changes, "architecture": {**small, "layer_type": "basic"}})
    assert_goes_on("classifier", values, catalog, tmp_path, after=9)


def test_train_detector__goes_on_after_a_kill(tmp_path):
    from models.detector.dataset import build_detection_dataset

    folder = toys.coco_folder(tmp_path / "toy", 20)
    build_detection_dataset([toys.coco_source(folder)], tmp_path / "dataset", validation_share=0.2)
    changes = {**TINY, "steps": 8, "batch": 3, "height": 64, "width": 64, "workers": 1}
    values = preset("detector", "tiny", **{**changes, "crop_probability": 0.5})
    assert_goes_on("detector", {**values, "evaluations": 2}, tmp_path / "dataset", tmp_path, after=3)


def test_train_encoder__goes_on_after_a_kill(pairs, tmp_path):
    changes = {"steps": 16, "hard_negatives": 0.5, "mine_every": 6, "ema": 0.9, "micro_batch": 8}
    assert_goes_on("encoder", preset("encoder", "tiny", **{**ENCODER, **changes}), pairs, tmp_path, after=8)


@pytest.mark.slow
def test_train_encoder__two_processes_and_streamed_pictures_go_on_after_a_kill(pairs, tmp_path):
    changes = {"steps": 16, "processes": 2, "in_memory": False, "workers": 1, "cache_dir": str(tmp_path / "cache")}
    assert_goes_on("encoder", preset("encoder", "tiny", **{**ENCODER, **changes}), pairs, tmp_path, after=6)
