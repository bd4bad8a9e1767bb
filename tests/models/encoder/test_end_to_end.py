"""From photos to products with hand-made detections: what is lost to boxes, and what to their names."""

import numpy as np
import pytest
from PIL import Image

from models.boxes import Detection
from models.encoder.end_to_end import AnnotatedPhoto, Worn, evaluate_end_to_end
from models.encoder.evaluate import Embedded, mean_of
from models.errors import MetricError

RED, BLUE = (255, 0, 0), (0, 0, 255)
LEFT, RIGHT = (0.0, 0.0, 10.0, 20.0), (10.0, 0.0, 20.0, 20.0)


def photo():
    """A red top on the left, a blue bag on the right."""
    image = Image.new("RGB", (20, 20), RED)
    image.paste(BLUE, (10, 0, 20, 20))
    return AnnotatedPhoto(image, [Worn("top", LEFT, "red-top"), Worn("bag", RIGHT, "blue-bag")])


def embed(images):
    means = np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


GALLERY = Embedded(
    np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.1, 0.995, 0]], np.float32),
    np.array(["red-top", "green-top", "blue-bag", "green-bag"]),
    np.array(["top", "top", "bag", "bag"]),
)


def search(*detections):
    """What two photos with these detections each come to."""
    return evaluate_end_to_end(lambda images: [list(detections)] * len(images), embed, [photo(), photo()], GALLERY)


def recalls(measured):
    return [mean_of(measured[name], "r@1") for name in ("true_boxes", "detected_boxes", "end_to_end")]


def test_evaluate_end_to_end__perfect_detector():
    measured = search(Detection("top", 0.9, LEFT), Detection("bag", 0.8, RIGHT))
    assert (measured["garments"], measured["detected"], measured["named"]) == (4, 1.0, 1.0)
    assert recalls(measured) == [1, 1, 1]
    assert measured["gap"]["r@1"]["mean"] == 0


def test_evaluate_end_to_end__missed_garment_finds_nothing():
    measured = search(Detection("top", 0.9, LEFT), Detection("bag", 0.8, (17.0, 0.0, 20.0, 20.0)))
    assert (measured["detected"], measured["named"]) == (0.5, 0.5)
    assert recalls(measured) == [1, 0.5, 0.5]
    assert measured["gap"]["r@1"]["mean"] == -0.5
    assert (measured["gap"]["mrr"]["better"], measured["gap"]["mrr"]["worse"]) == (0, 2)


def test_evaluate_end_to_end__wrong_name_searches_elsewhere():
    measured = search(Detection("bag", 0.9, LEFT), Detection("bag", 0.8, RIGHT))
    assert (measured["detected"], measured["named"]) == (1.0, 0.5)
    assert recalls(measured) == [1, 1, 0.5]


def test_evaluate_end_to_end__detector_that_finds_nothing():
    assert recalls(search()) == [1, 0, 0]


def test_evaluate_end_to_end__no_garment():
    bare = AnnotatedPhoto(photo().image, [])
    with pytest.raises(MetricError, match="no annotated garment"):
        evaluate_end_to_end(lambda images: [[] for _ in images], embed, [bare], GALLERY)


def test_evaluate_end_to_end__one_product_has_no_interval_of_the_gap():
    one = AnnotatedPhoto(photo().image, photo().worn[:1])
    assert evaluate_end_to_end(lambda images: [[] for _ in images], embed, [one], GALLERY)["gap"] == {}
