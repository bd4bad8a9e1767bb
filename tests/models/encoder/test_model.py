"""The encoder network's file: what published checkpoints hold is read, and what does not fit is refused."""

import shutil

import numpy as np
import pytest
import torch  # noqa: TID253
from safetensors.torch import load_file, save_file

from models.encoder.infer import Encoder
from models.errors import CheckpointError
from tests.models import toys


@pytest.mark.parametrize("names", ["of today", "of the published checkpoints"])
def test_load__published_layout(tmp_path, names):
    """Written as the published checkpoints were: by the hub's mixin, the network's own configuration beside it.

    They are older than transformers 5, which calls some layers of a Swin otherwise and no longer keeps the index.
    """
    from huggingface_hub import PyTorchModelHubMixin
    from torch import nn
    from transformers import SwinConfig, SwinModel, ViTImageProcessor

    config = SwinConfig(image_size=64, embed_dim=16, depths=[1, 1], num_heads=[2, 4], window_size=4)

    class PublishedEncoder(nn.Module, PyTorchModelHubMixin):
        def __init__(self):
            super().__init__()
            self.swin = SwinModel(config=config)
            self.embedding_layer = nn.Linear(config.hidden_size, 128)

    published = PublishedEncoder().eval()
    published.save_pretrained(tmp_path)
    if names == "of the published checkpoints":
        published.swin.save_pretrained(tmp_path / "swin")  # transformers writes the names that files had first
        old = {f"swin.{name}": tensor for name, tensor in load_file(tmp_path / "swin" / "model.safetensors").items()}
        assert "swin.encoder.layers.0.blocks.0.attention.self.query.weight" in old
        old["swin.encoder.layers.0.blocks.0.attention.self.relative_position_index"] = torch.zeros(16, 16).long()
        head = {f"embedding_layer.{name}": tensor for name, tensor in published.embedding_layer.state_dict().items()}
        save_file(old | head, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(tmp_path)
    processor = ViTImageProcessor(size={"height": 64, "width": 64})
    processor.save_pretrained(tmp_path)
    image = toys.worn("top", 3, 1).resize((64, 64))
    pixels = processor(images=[image], return_tensors="pt").pixel_values
    with torch.no_grad():
        expected = published.embedding_layer(published.swin(pixels).pooler_output)
    encoder = Encoder.load(tmp_path)
    np.testing.assert_allclose(encoder.embed([image]), torch.nn.functional.normalize(expected), atol=1e-5)
    assert encoder.dimension == 128


def test_load__weights_do_not_fit_the_configuration(checkpoint, tmp_path):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    text = (tmp_path / "config.json").read_text().replace('"embed_dim": 64', '"embed_dim": 32')
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"does not fit its config\.json"):
        Encoder.load(tmp_path)


@pytest.mark.parametrize("fault", ["a weight is missing", "a weight of another shape", "a weight too many", "no head"])
def test_load__weights_that_do_not_fit_are_refused(checkpoint, tmp_path, fault):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        shutil.copy(checkpoint / name, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    some = "swin.layernorm.weight"
    if fault == "a weight is missing":
        del state[some]
    elif fault == "a weight of another shape":
        state[some] = state[some][:-1].clone()
    elif fault == "a weight too many":
        state["swin.another.weight"] = state[some].clone()
    else:
        del state["embedding_layer.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"does not fit its config\.json|it is no encoder"):
        Encoder.load(tmp_path)
