"""Augmentation of pictures with boxes."""

import random

import numpy as np
import pytest
from PIL import Image

from models.detector.augment import Sample, augment, crop_around, jitter, mirror
from models.detector.config import DetectorConfig


def sample():
    image = Image.new("RGB", (100, 80), "white")
    image.paste("red", (20, 30, 40, 60))
    image.paste("blue", (70, 10, 90, 20))
    return Sample(image, [[20, 30, 20, 30], [70, 10, 20, 10]], [3, 5])


def fits(result):
    """Every box lies in its picture and shows what it showed before."""
    for (x, y, w, h), label in zip(result.boxes, result.labels, strict=True):
        assert 0 <= x <= x + w <= result.image.width
        assert 0 <= y <= y + h <= result.image.height
        middle = result.image.getpixel((int(x + w / 2), int(y + h / 2)))
        assert middle == ((255, 0, 0) if label == 3 else (0, 0, 255))


@pytest.mark.parametrize("seed", range(30))
def test_crop_around__boxes_follow(seed):
    result = crop_around(sample(), random.Random(seed), 0.3, 0.9)
    assert result.boxes
    assert result.image.width < 100
    fits(result)


def test_crop_around__small_rests_are_dropped():
    class First(random.Random):
        def choice(self, items):
            return items[0]

        def uniform(self, low, high):
            return 0.0

    wide = Sample(sample().image, [[20, 30, 20, 30], [10, 20, 60, 80], [39, 30, 40, 40]], [3, 4, 5])
    result = crop_around(wide, First(), 0, 0)
    assert result.image.size == (20, 30)
    assert result.labels == [3]  # of the second a third of the width and 0.375 of the height remain: dropped


def test_crop_around__a_box_thinner_than_a_pixel():
    thin = Sample(Image.new("RGB", (40, 60)), [[20.1, 30.1, 0.2, 0.2]], [3])
    assert min(crop_around(thin, random.Random(0), 0.0, 0.1).image.size) == 1


def test_mirror__twice_is_nothing():
    once = mirror(sample())
    fits(once)
    assert once.boxes[0] == [60, 30, 20, 30]
    twice = mirror(once)
    assert twice.boxes == sample().boxes
    assert np.array_equal(twice.image, sample().image)


def test_jitter__none_and_some():
    image = Image.effect_noise((20, 20), 50).convert("RGB")
    assert np.array_equal(jitter(image, random.Random(0), 0.0), image)
    assert not np.array_equal(jitter(image, random.Random(0), 0.5), image)


def test_augment__leaves_the_original_alone():
    original = sample()
    config = DetectorConfig(pretrained="x", crop_probability=1.0, jitter=0.5)
    augment(original, config, random.Random(1))
    assert original.boxes == sample().boxes
    assert np.array_equal(original.image, sample().image)


def test_augment__picture_without_boxes():
    config = DetectorConfig(pretrained="x", crop_probability=1.0)
    assert augment(Sample(sample().image, [], []), config, random.Random(1)).boxes == []
