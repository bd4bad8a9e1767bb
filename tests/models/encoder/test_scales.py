"""Vectors averaged over centred windows: what the configuration says, the checkpoint carries."""

import numpy as np
import pytest
import torch  # noqa: TID253
from PIL import Image, ImageDraw
from torch import nn  # noqa: TID253

from models.checkpoint import save_checkpoint
from models.config import make_config
from models.encoder.config import EncoderConfig
from models.encoder.infer import Encoder
from models.encoder.scales import MultiScale, at_scales
from models.encoder.train import build
from models.errors import ConfigError
from models.presets import preset

SCALES = [1.0, 0.75, 0.5]


class MeanColour(nn.Module):
    """An encoder whose vector is the direction of the mean colour."""

    def forward(self, images):
        return nn.functional.normalize(images.mean((2, 3)), dim=1)


def save(folder, scales):
    torch.manual_seed(0)
    model, processor = build(make_config(EncoderConfig, preset("encoder", "tiny", scales=scales)))
    facts = {"config": {}, "data_fingerprint": "", "labels": [], "metrics": {}}
    save_checkpoint(folder, "encoder", lambda out: (model.save(out), processor.save_pretrained(out)), **facts)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return Encoder.load(save(tmp_path_factory.mktemp("plain") / "encoder", [1.0]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("scaled") / "encoder", SCALES)


def bullseye():
    """A red picture whose middle half is green."""
    image = Image.new("RGB", (64, 64), "red")
    ImageDraw.Draw(image).rectangle([16, 16, 47, 47], fill=(0, 255, 0))
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255


def test_multi_scale__each_window_is_the_middle_enlarged():
    (half,) = MultiScale(MeanColour(), [0.5])(bullseye())
    torch.testing.assert_close(half, torch.tensor([0.0, 1.0, 0.0]))
    (both,) = MultiScale(MeanColour(), [1.0, 0.5])(bullseye())
    (whole,) = MeanColour()(bullseye())
    torch.testing.assert_close(both, nn.functional.normalize(whole + half, dim=0))


@pytest.mark.parametrize("scales", [None, [], [1.0]])
def test_at_scales__a_checkpoint_that_names_no_scales_is_left_as_it_is(scales):
    network, processor = MeanColour(), type("Processor", (), {"scales": scales})()
    assert at_scales(network, processor) is network


def test_encoder__scales_of_its_checkpoint(plain, folder):
    encoder = Encoder.load(folder)
    assert encoder.processor.scales == SCALES
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    views = []
    for scale in SCALES:
        edge = round(64 * (1 - scale) / 2)
        window = torch.from_numpy(pixels[:, edge : 64 - edge, edge : 64 - edge]).permute(0, 3, 1, 2).float()
        enlarged = nn.functional.interpolate(window, (64, 64), mode="bilinear").round().byte()
        views.append(plain.embed_pixels(enlarged.permute(0, 2, 3, 1).numpy()))
    mean = np.sum(views, 0)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.embed_pixels(pixels), mean, atol=2e-3)  # views were rounded to bytes
    assert np.abs(encoder.embed_pixels(pixels) - plain.embed_pixels(pixels)).max() > 0.01


def test_encoder__same_weights_at_other_scales_are_another_version(plain, folder):
    """So that an index refuses queries that were seen at other scales than its catalog."""
    assert Encoder.load(folder).version != plain.version


@pytest.mark.parametrize("scales", [[], [0.0], [1.0, 1.2], [-0.5]])
def test_config__scales_are_shares(scales):
    with pytest.raises(ConfigError, match="scales"):
        make_config(EncoderConfig, preset("encoder", "tiny", scales=scales))
