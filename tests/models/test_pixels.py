"""Pictures as arrays and model input."""

import pytest
import torch  # noqa: TID253
from PIL import Image
from transformers import AutoImageProcessor, ViTImageProcessor  # noqa: TID253

from models.errors import CheckpointError
from models.pixels import input_size, model_input, prepare, resize
from tests.curation.builders import framed


def test_prepare__asked_for_by_the_saved_preprocessing(tmp_path):
    ViTImageProcessor(size={"height": 8, "width": 8}, trim_ground=True).save_pretrained(tmp_path)
    assert prepare(framed(), AutoImageProcessor.from_pretrained(tmp_path)).width < 100
    assert prepare(framed(), ViTImageProcessor(size={"height": 8, "width": 8})).width == 300


def test_model_input__equals_the_image_processor():
    processor = ViTImageProcessor(
        size={"height": 32, "width": 24}, image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7]
    )
    image = Image.effect_noise((100, 80), 60).convert("RGB").resize((200, 160))
    expected = processor(images=[image], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(model_input([image], processor), expected, atol=0.03, rtol=0)


def test_resize__shape_is_height_by_width():
    assert resize(Image.new("RGB", (30, 20)), 8, 12).shape == (8, 12, 3)


def test_input_size__forms():
    assert input_size(ViTImageProcessor(size={"height": 32, "width": 24})) == (32, 24)
    assert input_size(type("P", (), {"size": {"shortest_edge": 224}})()) == (224, 224)
    with pytest.raises(CheckpointError, match="longest_edge"):
        input_size(type("P", (), {"size": {"longest_edge": 224}})())
