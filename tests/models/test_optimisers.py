"""The schedule of the learning rate, and Muon of convolutions."""

import copy

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models.optimisers import MatrixMuon, one_cycle


def test_one_cycle__rises_then_falls():
    factors = [one_cycle(step, 100, 0.1) for step in range(101)]
    assert factors[0] == pytest.approx(0.01)
    assert max(factors) == factors[10] == 1.0
    assert factors == sorted(factors[:11]) + sorted(factors[11:], reverse=True)
    assert factors[100] == pytest.approx(0.01)


def _step(layer, muon):
    layer.zero_grad()
    layer(torch.ones(1, 6, 3, 3)).pow(2).sum().backward()
    muon.step()


def test_matrix_muon__goes_on_from_its_state_and_the_weights_as_they_are_then():
    layer = nn.Conv2d(6, 4, 2)
    muon = MatrixMuon([layer.weight], learning_rate=0.1, weight_decay=0.0)
    for _ in range(3):
        _step(layer, muon)
    other = nn.Conv2d(6, 4, 2)
    resumed = MatrixMuon([other.weight], learning_rate=0.1, weight_decay=0.0)
    other.load_state_dict(layer.state_dict())  # after the optimiser was made, as a training that goes on does
    resumed.load_state_dict(copy.deepcopy(muon.state_dict()))
    before = layer.weight.detach().clone()
    _step(layer, muon)
    _step(other, resumed)
    assert not torch.equal(layer.weight, before)
    assert torch.equal(other.weight, layer.weight)
