"""Averaged weights."""

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models.averaging import WeightAverage
from models.batches import Batches
from models.config import TrainerConfig
from models.progress import Progress
from models.states import States
from models.training import fit


def test_weight_average__follows_with_its_decay():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.5)
    expected = model.weight.detach().clone()
    for step in range(1, 4):
        with torch.no_grad():
            model.weight += step
            model.num_batches_tracked += 1
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    own = model.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(model.weight.detach(), expected)
        assert model.num_batches_tracked == 3
    torch.testing.assert_close(model.weight.detach(), own)


def test_fit__measures_and_keeps_the_average(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    own, measured = [], []

    def loss(*_):
        own.append(model.weight.item())
        return model.weight.sum()

    def evaluate():
        measured.append(model.weight.item())
        return {"score": 0.0}

    values = {"pretrained": "x", "device": "cpu", "precision": "float32", "weight_decay": 0.0, "steps": 50}
    config = TrainerConfig(**values, learning_rate=0.1, ema=0.9, evaluations=1)
    states, batches = States(tmp_path / "state", config, "data"), Batches(lambda step: step)
    with Progress(tmp_path / "progress.jsonl") as progress:
        fit(model, config, batches, loss, evaluate, "score", progress, states)
    assert model.weight.item() == pytest.approx(measured[-1])
    assert own[-1] + 0.01 < model.weight.item() < own[0]  # the weight falls and falls, its average comes after
