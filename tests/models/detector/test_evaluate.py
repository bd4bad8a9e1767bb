"""COCO metrics and the mean-box baseline on hand-made boxes."""

import pytest

from models.boxes import Detection
from models.detector.evaluate import MeanBox, coco_metrics
from models.errors import MetricError

TRUTH = [[("top", (0.0, 0.0, 50.0, 50.0)), ("bag", (60.0, 60.0, 90.0, 90.0))], [("top", (10.0, 10.0, 40.0, 80.0))]]


def exact(score=0.9):
    return [[Detection(name, score, box) for name, box in picture] for picture in TRUTH]


def test_coco_metrics__perfect():
    result = coco_metrics(TRUTH, exact())
    assert result["map"] == result["ap50"] == result["ap75"] == result["ar100"] == pytest.approx(1)
    assert result["ap50_by_class"] == {"bag": pytest.approx(1), "top": pytest.approx(1)}


def test_coco_metrics__first_box_of_the_first_picture_counts():
    """COCO's tools lose an annotation whose id is 0."""
    assert coco_metrics([TRUTH[0][:1]], [exact()[0][:1]])["ap50"] == pytest.approx(1)


def test_coco_metrics__wrong_class_and_wrong_place():
    assert coco_metrics(TRUTH, [[Detection("hat", 0.9, (0, 0, 50, 50))], []])["ap50"] == 0
    assert coco_metrics(TRUTH, [[Detection("top", 0.9, (50, 0, 99, 50))], []])["ap50"] == 0


def test_coco_metrics__nothing_found():
    result = coco_metrics(TRUTH, [[], []])
    assert (result["map"], result["ap50_by_class"]) == (0.0, {"bag": 0.0, "top": 0.0})


def test_coco_metrics__half_of_a_class_found():
    found = exact()
    found[1] = []
    result = coco_metrics(TRUTH, found)
    assert result["ap50_by_class"]["top"] == pytest.approx(51 / 101)  # recall points 0, 0.01, …, 0.5
    assert result["ap50"] == pytest.approx((51 / 101 + 1) / 2)


def test_coco_metrics__a_surer_false_alarm_costs():
    found = exact()
    found[0].append(Detection("bag", 0.99, (0, 0, 20, 20)))
    assert coco_metrics(TRUTH, found)["ap50_by_class"]["bag"] == pytest.approx(0.5)


def test_coco_metrics__loose_box_counts_at_50_only():
    found = [[Detection("top", 0.9, (0, 0, 50, 32)), Detection("bag", 0.9, (60, 60, 90, 80))], []]
    result = coco_metrics(TRUTH[:1], found[:1])
    assert (result["ap50"], result["ap75"]) == (pytest.approx(1), 0)


@pytest.mark.parametrize(("truth", "found"), [([], []), ([[], []], [[], []]), (TRUTH, [[]])])
def test_coco_metrics__nothing_to_measure(truth, found):
    with pytest.raises(MetricError):
        coco_metrics(truth, found)


def test_mean_box__relative_mean_and_frequency():
    baseline = MeanBox(TRUTH, [(100, 100), (100, 100)])
    (found,) = baseline.detect([(200, 100)])
    top = next(item for item in found if item.category == "top")
    assert top.score == 1.0
    assert top.box == pytest.approx((10, 5, 90, 65))
    assert next(item for item in found if item.category == "bag").score == 0.5


def test_mean_box__has_every_class_that_is_measured():
    truth = [[("top", (0.0, 0.0, 50.0, 50.0)), ("belt", (10.0, 60.0, 90.0, 70.0))]] * 2
    sizes = [(100, 100)] * 2
    assert coco_metrics(truth, MeanBox(truth, sizes).detect(sizes))["ap50"] == pytest.approx(1)


def test_mean_box__no_box():
    with pytest.raises(MetricError):
        MeanBox([[]], [(10, 10)])
