"""Agreement of colours between a crop and a thumbnail."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from curation.colours import colour_agreement, crop_colours, thumbnail_colours
from tests.curation.builders import scene


def striped(first: str, second: str, size: tuple[int, int] = (80, 120)) -> Image.Image:
    image = Image.new("RGB", size, first)
    for y in range(0, size[1], 20):
        ImageDraw.Draw(image).rectangle((0, y, size[0], y + 8), fill=second)
    return image


def shown(garment: Image.Image, ground: str = "white") -> Image.Image:
    """A thumbnail: the garment on a plain ground, four times its size."""
    image = Image.new("RGB", (garment.width * 2, garment.height * 2), ground)
    image.paste(garment, (garment.width // 2, garment.height // 2))
    return image


def agreement(crop: Image.Image, thumbnail: Image.Image) -> float:
    return colour_agreement(crop_colours(crop), thumbnail_colours(thumbnail))


def test_colour_agreement__a_picture_agrees_with_itself() -> None:
    plain = Image.new("RGB", (50, 50), "olive")
    assert agreement(plain, plain) == pytest.approx(1)


@pytest.mark.parametrize("ground", ["white", "gainsboro", "black"])
def test_colour_agreement__the_ground_of_a_thumbnail_does_not_count(ground: str) -> None:
    garment = striped("firebrick", "navy")
    assert agreement(garment, shown(garment, ground)) > 0.9


def test_colour_agreement__light_and_cast_of_a_photo_are_forgiven() -> None:
    garment = striped("firebrick", "navy")
    warm = Image.fromarray(
        (np.asarray(ImageEnhance.Brightness(garment).enhance(0.85)) * [1.0, 0.95, 0.88]).astype("u1")
    )
    assert agreement(warm, shown(garment)) > 0.7


@pytest.mark.parametrize("other", [("seagreen", "gold"), ("black", "white"), ("pink", "pink")])
def test_colour_agreement__another_product(other: tuple[str, str]) -> None:
    assert agreement(striped("firebrick", "navy"), shown(striped(*other))) < 0.4


def test_colour_agreement__white_product_on_white_ground_is_still_compared() -> None:
    white = Image.new("RGB", (200, 200), "white")
    assert agreement(Image.new("RGB", (60, 60), (245, 245, 245)), white) > 0.9
    assert agreement(Image.new("RGB", (60, 60), "navy"), white) < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 2)])
def test_colours__tiny_pictures(size: tuple[int, int]) -> None:
    tiny = Image.new("RGB", size, "teal")
    assert agreement(tiny, tiny) == pytest.approx(1)


def test_colours__unit_length_for_any_picture() -> None:
    for seed in range(20):
        for vector in (crop_colours(scene(seed)), thumbnail_colours(scene(seed))):
            assert np.linalg.norm(vector) == pytest.approx(1)
            assert (vector >= 0).all()
