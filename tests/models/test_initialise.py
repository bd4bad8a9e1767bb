"""Start values by layer width."""

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models.config import make_config
from models.detector.config import DetectorConfig
from models.detector.train import build
from models.initialise import fit_to_width
from models.presets import preset


def network():
    model = nn.Sequential(
        nn.Linear(64, 32), nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.Linear(64, 4), nn.Linear(64, 64)
    )
    for module in (model[0], model[1], model[3]):
        nn.init.normal_(module.weight, std=0.01)
    nn.init.normal_(model[2].weight, std=0.01)
    nn.init.zeros_(model[4].weight)
    return model


def test_fit_to_width__only_what_the_fixed_deviation_drew():
    model = network()
    small = model[3].weight.clone()
    assert fit_to_width(model, 0.01) == 3
    assert model[0].weight.std().item() == pytest.approx((2 / 96) ** 0.5, rel=0.1)
    assert model[1].weight.std().item() == pytest.approx((2 / (9 * 48)) ** 0.5, rel=0.1)
    assert (model[2].weight == 1).all()
    assert torch.equal(model[3].weight, small)
    assert (model[4].weight == 0).all()


def test_fit_to_width__leaves_other_weights_alone():
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm2d(8), nn.LayerNorm(8))
    before = [parameter.clone() for parameter in model.parameters()]
    assert fit_to_width(model, 0.01) == 0
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_build__pictures_reach_the_proposals_of_an_untrained_detector():
    """With transformers' own start values the features of two different pictures are the same behind the neck."""
    torch.manual_seed(0)
    model, _ = build(make_config(DetectorConfig, preset("detector", "tiny")))
    model.train()
    with torch.no_grad():
        classes = model(pixel_values=torch.rand(2, 3, 160, 128)).enc_outputs_class
    assert (classes[0] - classes[1]).std() > 0.1


def test_fit_to_width__family_without_a_fixed_deviation():
    assert fit_to_width(network(), None) == 0
