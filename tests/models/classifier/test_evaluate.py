"""Measures of the classifier on hand-made predictions."""

import numpy as np
import pytest

from models.classifier.evaluate import classification_metrics
from models.errors import MetricError


def rows(*predictions):
    """Probabilities with `p` on one label and the rest spread evenly."""
    result = np.zeros((len(predictions), 8), np.float32)
    for index, (label, p) in enumerate(predictions):
        result[index] = (1 - p) / 7
        result[index, label] = p
    return result


def test_classification_metrics__hand_made():
    result = classification_metrics(
        np.array([0, 0, 1, 7]), rows((0, 0.9), (1, 0.95), (1, 0.6), (7, 0.99)), ["a", "b", "c", "d"]
    )
    assert result["accuracy"] == 0.75
    assert result["accuracy_balanced"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert result["confusion"][0][:2] == [1, 1]
    assert np.sum(result["confusion"]) == 4
    assert (result["accepted"], result["accepted_precision"]) == (0.5, 0.5)  # c is unsure, d is etc
    (row,) = result["disagreements"]
    assert row.pop("probability") == pytest.approx(0.95)
    assert row == {"product_id": "b", "shop": "bag", "predicted": "bottom", "shop_is_wrong": False}


def test_classification_metrics__suspected_labels_are_marked():
    labels, probabilities = np.array([0, 0]), rows((1, 0.9), (2, 0.8))
    found = classification_metrics(labels, probabilities, ["a", "b"], suspects=np.array([False, True]))["disagreements"]
    assert [row["shop_is_wrong"] for row in found] == [False, True]


def test_classification_metrics__nothing_accepted():
    assert classification_metrics(np.array([0]), rows((0, 0.5)), ["a"])["accepted_precision"] is None


@pytest.mark.parametrize(("labels", "products"), [([], []), ([0, 1], ["a"])])
def test_classification_metrics__nothing_or_unequal(labels, products):
    with pytest.raises(MetricError):
        classification_metrics(np.array(labels, np.int64), rows(*[(0, 1.0)] * len(labels)), products)
