"""Encoders that do not learn."""

import numpy as np
import pytest
from PIL import Image

from models.encoder.baselines import histogram, perceptual_hash
from tests.models import toys


@pytest.mark.parametrize("embed", [histogram, perceptual_hash])
def test_baseline__unit_vectors_equal_for_equal_pictures(embed):
    images = [toys.thumbnail("top", 1), toys.thumbnail("bag", 2), toys.thumbnail("top", 1)]
    vectors = embed(images)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    similarity = vectors @ vectors.T
    assert similarity[0, 2] == pytest.approx(1)
    assert similarity[0, 1] < 0.99


def test_histogram__sees_colour_not_place():
    red, blue = Image.new("RGB", (50, 80), "red"), Image.new("RGB", (50, 80), "blue")
    half = red.copy()
    half.paste(blue.crop((0, 0, 25, 80)), (0, 0))
    other = half.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    first, second, third = histogram([half, other, red])
    assert first @ second > 0.99 > first @ third


def test_perceptual_hash__product_is_hamming_distance():
    import imagehash

    images = [toys.thumbnail("top", 1), toys.thumbnail("dress", 2)]
    distance = imagehash.phash(images[0]) - imagehash.phash(images[1])
    first, second = perceptual_hash(images)
    assert (1 - first @ second) * 32 == pytest.approx(distance)
