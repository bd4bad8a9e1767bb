"""The schedule of the learning rate, and Muon beside torch's."""

import copy

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models import optimisers
from models.optimisers import Muon, one_cycle, orthogonal


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


def test_muon__goes_on_from_its_state_and_the_weights_as_they_are_then():
    layer = nn.Conv2d(6, 4, 2)
    muon = Muon([layer.weight], learning_rate=0.1, weight_decay=0.0)
    for _ in range(3):
        _step(layer, muon)
    other = nn.Conv2d(6, 4, 2)
    resumed = Muon([other.weight], learning_rate=0.1, weight_decay=0.0)
    other.load_state_dict(layer.state_dict())  # after the optimiser was made, as a training that goes on does
    resumed.load_state_dict(copy.deepcopy(muon.state_dict()))
    before = layer.weight.detach().clone()
    _step(layer, muon)
    _step(other, resumed)
    assert not torch.equal(layer.weight, before)
    assert torch.equal(other.weight, layer.weight)


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (16, 16)])
@pytest.mark.parametrize("native", [False, True])
def test_orthogonal__singular_values_come_near_one(shape, native, monkeypatch):
    monkeypatch.setattr(optimisers, "computes_in_bfloat16", lambda *_: native)
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonal(matrix)
    assert found.shape == matrix.shape
    assert found.dtype == (torch.bfloat16 if native else torch.float32)
    values = torch.linalg.svdvals(found.float())
    assert 0.6 < values.min() <= values.max() < 1.3
    assert (found.float() * matrix).sum() > 0  # the same way


@pytest.mark.parametrize("native", [False, True])
def test_muon__steps_as_torch_does(native, monkeypatch):
    monkeypatch.setattr(optimisers, "computes_in_bfloat16", lambda *_: native)
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(8, 20, generator=draw)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    one = Muon([ours], learning_rate=0.05, weight_decay=0.1)
    other = torch.optim.Muon([theirs], lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        ours.grad = torch.randn(8, 20, generator=draw)
        theirs.grad = ours.grad.clone()
        one.step()
        other.step()
    moved = (ours - start).detach()
    assert moved.norm() > 0.1
    torch.testing.assert_close(moved, (theirs - start).detach(), atol=1e-6 if native else 0.02 * moved.norm(), rtol=0)


def test_muon__a_convolution_steps_as_its_matrix():
    draw = torch.Generator().manual_seed(0)
    kernel = nn.Parameter(torch.randn(4, 3, 2, 2, generator=draw).to(memory_format=torch.channels_last))
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    kernel.grad = torch.randn(4, 3, 2, 2, generator=draw)
    matrix.grad = kernel.grad.flatten(1).clone()
    for weight in (kernel, matrix):
        Muon([weight], learning_rate=0.1, weight_decay=0.1).step()
    assert torch.equal(kernel.detach().flatten(1), matrix.detach())
