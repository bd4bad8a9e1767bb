"""Pictures as arrays and model input."""

import numpy as np
import pytest
import torch  # noqa: TID253
from PIL import Image
from transformers import AutoImageProcessor, ViTImageProcessor  # noqa: TID253

from models.errors import CheckpointError
from models.pixels import input_size, model_input, prepare, resize, trim_ground


def framed(side=300, ground=(244, 244, 244), box=(90, 60, 180, 270)):
    image = Image.new("RGB", (side, side), ground)
    image.paste((200, 30, 30), box)
    return image


@pytest.mark.parametrize("ground", [(255, 255, 255), (244, 244, 244), (40, 60, 80)])
def test_trim_ground__what_is_left_is_the_garment(ground):
    result = trim_ground(framed(ground=ground))
    assert result.width == pytest.approx(90, abs=4)
    assert result.height == pytest.approx(210, abs=4)
    assert (np.asarray(result) == (200, 30, 30)).all(2).mean() > 0.95


def test_trim_ground__soft_shadow_is_background():
    image = framed()
    image.paste((230, 230, 230), (60, 270, 240, 290))
    assert trim_ground(image).height == pytest.approx(210, abs=4)


def test_trim_ground__garment_that_leaves_the_picture():
    result = trim_ground(framed(box=(90, 60, 180, 300)))
    assert result.size == (pytest.approx(90, abs=4), pytest.approx(240, abs=4))


@pytest.mark.parametrize(
    "image",
    [
        Image.effect_noise((200, 150), 80).convert("RGB"),
        Image.new("RGB", (200, 150), "white"),
        framed(box=(100, 100, 103, 103)),
        Image.new("RGB", (1, 1), "red"),
    ],
    ids=["busy", "blank", "speck", "one pixel"],
)
def test_trim_ground__left_as_it_is(image):
    assert trim_ground(image) is image


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
