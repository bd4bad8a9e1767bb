"""Calibration on hand-made predictions and on drawn ones whose truth is known."""

import numpy as np
import pytest

from models.classifier.calibration import (
    calibrate,
    calibration,
    calibration_error,
    fit_temperature,
    reliability,
    softmax,
    suspected,
    threshold_for,
)
from models.errors import MetricError


def drawn(rows, temperature, seed=0):
    """Logits, and labels that are drawn from the probabilities at `temperature`."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(rows, 4)) * 4
    chances = softmax(logits / temperature).cumsum(1)
    return logits, (draw.random((rows, 1)) > chances).sum(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_fit_temperature__finds_the_true_one(temperature):
    logits, labels = drawn(4000, temperature)
    found, wrong = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.1)
    assert wrong < 0.02


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_fit_temperature__wrong_labels_are_counted_instead_of_doubting_everything(share):
    logits, labels = drawn(4000, 0.5)
    draw = np.random.default_rng(1)
    told = np.where(draw.random(4000) < share, draw.integers(4, size=4000), labels)
    temperature, wrong = fit_temperature(logits, told)
    assert temperature == pytest.approx(0.5, rel=0.15)
    assert wrong == pytest.approx(share, abs=0.03)


def test_calibrate__a_weak_network_is_not_believed_where_it_errs():
    """Its labels are right: the temperature must be that of all rows, not of those that it gets right."""
    logits, labels = drawn(2000, 6.0)
    fitted = calibrate(logits, labels, 0.99, reject=3)
    assert calibration(softmax(logits / fitted.temperature), labels)["ece"] < 0.04
    assert fitted.suspects.mean() < 0.05


def test_calibrate__sure_mistakes_are_taken_for_wrong_labels_and_bounded():
    """All labels are right, the network is sure and wrong of one row in twenty: only the bound tells."""
    logits = np.eye(4)[np.arange(2000) % 3] * 9.0
    labels = np.where(np.arange(2000) % 20 == 0, (np.arange(2000) + 1) % 3, np.arange(2000) % 3)
    fitted = calibrate(logits, labels, 0.99, reject=3)
    assert fitted.suspects.sum() == 100
    assert fitted.precision > 0.99
    assert fitted.least == pytest.approx(0.95)


def test_fit_temperature__a_few_rows_move_it_little():
    """All right: without a prior the likeliest temperature would be 0. All wrong: infinite."""
    logits = np.eye(4)[np.arange(20) % 4] * 3.0
    assert 0.5 < fit_temperature(logits, np.arange(20) % 4)[0] < 1
    assert 1 < fit_temperature(logits, (np.arange(20) + 1) % 4)[0] < 4
    assert fit_temperature(np.tile(logits, (500, 1)), np.arange(10_000) % 4)[0] < 0.4


def test_calibration_error__hand_computed():
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, False])
    table = reliability(confidence, right)
    assert [(row["rows"], row["accuracy"]) for row in table] == [(2, 0.5), (4, 0.75)]
    assert calibration_error(table) == pytest.approx((2 * 0.05 + 4 * 0.2) / 6)
    halves = reliability(confidence, right, equal_mass=True, bins=2)
    assert [row["rows"] for row in halves] == [3, 3]
    assert calibration_error(halves) == pytest.approx((abs(2.05 / 3 - 2 / 3) + abs(0.95 - 2 / 3)) / 2)


def test_calibration__scaling_mends_an_overconfident_model():
    logits, labels = drawn(4000, 3.0)
    before, after = (calibration(softmax(logits / by), labels) for by in (1.0, fit_temperature(logits, labels)[0]))
    assert before["ece"] > 0.15
    assert max(after["ece"], after["ece_equal_mass"]) < 0.03
    assert sum(row["rows"] for row in after["reliability"]) == 4000


def test_threshold_for__as_low_as_the_stated_precision_allows():
    logits, labels = drawn(4000, 1.0)
    probabilities = softmax(logits)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    threshold, expected = threshold_for(confidence, right, 0.95)
    accepted = confidence >= threshold
    assert expected == pytest.approx(0.95, abs=1e-3)
    assert right[accepted].mean() == pytest.approx(0.95, abs=0.015)
    assert accepted.mean() > 0.6
    assert threshold < threshold_for(confidence, right, 0.99)[0] < 1


def test_threshold_for__few_rows_count_less_than_their_confidence():
    confidence, right = np.linspace(0.99, 0.9, 10), np.ones(10, bool)
    assert threshold_for(confidence, right, 0.98)[0] > 0.95
    assert threshold_for(np.repeat(confidence, 1000), np.ones(10_000, bool), 0.98)[0] == pytest.approx(0.9)


def test_threshold_for__overconfidence_is_contradicted_by_enough_rows():
    confidence, right = np.linspace(1, 0.998, 1000), np.arange(1000) < 500
    threshold, expected = threshold_for(confidence, right, 0.99)
    assert confidence[(confidence >= threshold)].size == pytest.approx(505, abs=5)
    assert expected >= 0.99


def test_threshold_for__out_of_reach_comes_as_near_as_it_can():
    confidence, right = np.full(1000, 0.999), np.arange(1000) % 10 > 0  # nine of ten are right, all equally sure
    assert threshold_for(confidence, right, 0.99) == (0.999, pytest.approx(901 / 1002))
    falling = np.linspace(0.97, 0.6, 100)
    threshold, expected = threshold_for(falling, falling > 0.8, 0.999)
    assert threshold == pytest.approx(falling[falling > 0.8].min())  # down to the first wrong one
    assert expected < 0.999
    assert threshold_for(np.array([0.2]), np.array([True]), 0.1)[0] == 0.5


def test_suspected__labels_that_a_sure_model_contradicts():
    probabilities = np.full((20, 2), 0.01)
    probabilities[:10, 0] = probabilities[10:, 1] = 0.99
    labels = np.arange(20) // 10
    assert not suspected(probabilities, labels, 0.1).any()
    labels[3], labels[15] = 1, 0
    assert np.flatnonzero(suspected(probabilities, labels, 0.1)).tolist() == [3, 15]
    assert not suspected(probabilities, labels, 0.0).any()


def test_calibrate__wrong_labels_do_not_make_it_doubt_itself():
    logits, labels = drawn(2000, 0.5)
    told = labels.copy()
    told[::10] = (told[::10] + 1) % 4
    clean, noisy = (calibrate(logits, known, 0.99, reject=3) for known in (labels, told))
    assert noisy.suspects[::10].mean() > 0.6
    assert noisy.temperature == pytest.approx(clean.temperature, rel=0.15)
    assert noisy.threshold < 1


@pytest.mark.parametrize("measure", [lambda: fit_temperature(np.zeros((0, 2)), np.zeros(0, np.int64)),
                                     lambda: calibration(np.zeros((0, 2)), np.zeros(0, np.int64)),
                                     lambda: threshold_for(np.zeros(0), np.zeros(0, bool), 0.9)])  # fmt: skip
def test_calibration__nothing_to_measure(measure):
    with pytest.raises(MetricError):
        measure()


def test_calibrate__the_bound_is_of_what_is_accepted_alone():
    rows = np.arange(2000)
    logits = np.eye(4)[rows % 4] * 9.0
    labels = np.where(rows % 20 == 0, (rows % 4 + 1) % 3, rows % 4)  # of what is named, all mistakes are of class 0
    fitted = calibrate(logits, labels, 0.99, reject=3)
    assert fitted.least == pytest.approx(1 - 100 / 1500)
