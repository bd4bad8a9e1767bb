"""Probabilities that mean what they say: temperature scaling, how far off they are, and the threshold to accept at.

All of it is fitted on held-out products, whose labels are the shop's too: how many of those are wrong is fitted with
the temperature, and rows whose label is more likely wrong than right are left out of what follows. A wrong label and a
mistake that the network is sure of look alike: where labels are better than the fit believes, what is accepted is right
less often than stated, at worst by `Calibration.least`.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import MetricError

BINS: Final = 15
_TEMPERATURES: Final = np.geomspace(0.05, 20.0, 300)  # 2 % apart
_WRONG: Final = np.append(0.0, np.geomspace(0.005, 0.5, 30))  # shares of labels, 17 % apart
_OWN_ROWS: Final = 20  # as many held-out rows do the network's own probabilities count for in the temperature
_PRIOR_ROWS: Final = 100  # and the calibrated ones in the precision of what is accepted
_LEAST_THRESHOLD: Final = 0.5
_LEAST: Final = 1e-12  # probability, whose logarithm is finite


@dataclass(frozen=True)
class Calibration:
    """What a classifier's checkpoint carries besides its weights."""

    temperature: float  # divides logits
    threshold: float  # probability at which a named category is believed
    precision: float  # expected of what is believed
    least: float  # share of it that its labels agree with: what is right if no label is wrong
    suspects: NDArray[np.bool_]  # (n,) held-out rows whose label is taken to be wrong


def calibrate(logits: NDArray[np.float64], labels: NDArray[np.int64], precision: float, reject: int) -> Calibration:
    """Fit temperature and threshold on held-out rows.

    Args:
        logits: (n, classes).
        labels: (n,), some of which may be wrong.
        precision: stated share of the accepted rows that are right.
        reject: the class that is never accepted.

    Raises:
        MetricError: there is no row, or none is named as another class than `reject`.
    """
    temperature, wrong = fit_temperature(logits, labels)
    suspects = suspected(softmax(logits / temperature), labels, wrong)
    probabilities = softmax(logits / temperature)
    confidence, named = probabilities.max(1), probabilities.argmax(1)
    open_to = (named != reject) & ~suspects
    threshold, expected = threshold_for(confidence[open_to], (named == labels)[open_to], precision)
    accepted = (named != reject) & (confidence >= threshold)
    least = float((named == labels)[accepted].mean()) if accepted.any() else 0.0
    return Calibration(temperature, threshold, expected, least, suspects)


def suspected(probabilities: NDArray[np.float64], labels: NDArray[np.int64], wrong: float) -> NDArray[np.bool_]:
    """Rows whose label is more likely to be wrong than right.

    Args:
        probabilities: (n, classes), calibrated, of rows that were not trained on.
        labels: (n,).
        wrong: share of labels that are, any class as likely as another.
    """
    by_mistake = wrong / probabilities.shape[1]
    result: NDArray[np.bool_] = by_mistake > (1 - wrong) * probabilities[np.arange(len(labels)), labels]
    return result


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of logits as probabilities."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return result


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[float, float]:
    """The number by which to divide logits, and the share of wrong labels, with which held-out labels are likeliest.

    It is temperature scaling (Guo et al. 2017), which never changes what is named, and a label that says any class with
    some probability, whatever the picture. Without the latter, labels that are wrong make a network doubt all it says;
    with rows left out that contradict it, a weak network is believed where it errs.

    The network's own probabilities count for 20 rows more, so that a handful of held-out rows that all happen to be
    right do not make it sure of everything. Searched on a grid.

    Args:
        logits: (n, classes) of rows that were not trained on.
        labels: (n,).

    Raises:
        MetricError: there is no row.
    """
    if not len(labels):
        raise MetricError("no held-out row to fit a temperature on")
    own, rows = softmax(logits), np.arange(len(labels))
    losses = np.empty((len(_TEMPERATURES), len(_WRONG)))
    for at, temperature in enumerate(_TEMPERATURES):
        probabilities = softmax(logits / temperature)
        told = (1 - _WRONG) * probabilities[rows, labels, None] + _WRONG / logits.shape[1]
        prior = (own * np.log(probabilities.clip(_LEAST))).sum(1).mean()
        losses[at] = -np.log(told.clip(_LEAST)).sum(0) - _OWN_ROWS * prior
    best, share = np.unravel_index(losses.argmin(), losses.shape)
    return float(_TEMPERATURES[best]), float(_WRONG[share])


def reliability(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], *, equal_mass: bool = False, bins: int = BINS
) -> list[dict[str, float]]:
    """Bins of a reliability diagram: `rows`, mean `confidence` and `accuracy` of each that is not empty.

    Args:
        confidence: (n,) probability of the class that was named.
        right: (n,) whether it was right.
        equal_mass: bins of as many rows each, instead of equal width.
        bins: at most so many.

    Raises:
        MetricError: there is no row.
    """
    if not len(confidence):
        raise MetricError("no prediction to calibrate")
    order = np.argsort(confidence, kind="stable")
    parts = (
        np.array_split(order, bins)
        if equal_mass
        else [np.flatnonzero(np.minimum((confidence * bins).astype(int), bins - 1) == at) for at in range(bins)]
    )
    return [
        {"rows": len(part), "confidence": float(confidence[part].mean()), "accuracy": float(right[part].mean())}
        for part in parts
        if len(part)
    ]


def calibration_error(table: list[dict[str, float]]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over the rows of all bins."""
    total = sum(row["rows"] for row in table)
    return float(sum(row["rows"] * abs(row["confidence"] - row["accuracy"]) for row in table) / total)


def calibration(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, Any]:
    """`ece` and `ece_equal_mass` with 15 bins, and the `reliability` table of equal widths behind the first."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    wide = reliability(confidence, right)
    mass = reliability(confidence, right, equal_mass=True)
    return {"ece": calibration_error(wide), "ece_equal_mass": calibration_error(mass), "reliability": wide}


def threshold_for(confidence: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> tuple[float, float]:
    """The lowest confidence at which what is accepted is right as often as stated.

    How often it is right is estimated from the held-out rows above a threshold, with their mean calibrated confidence
    counting for 100 rows more: a hundred held-out rows that are all right do not show 99 %, ten thousand do.

    Args:
        confidence: (n,) calibrated, of held-out rows that may be accepted.
        right: (n,).
        precision: stated share, 0 to 1.

    Returns:
        The threshold, at least one half, and the precision expected there. Where the stated one is out of reach, it is
        the threshold that comes nearest by the rows alone.

    Raises:
        MetricError: no row may be accepted.
    """
    if not len(confidence):
        raise MetricError("no held-out row is named as a garment: there is nothing to accept")
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    count = np.arange(1, len(order) + 1)
    expected = (right[order].cumsum() + _PRIOR_ROWS * falling.cumsum() / count) / (count + _PRIOR_ROWS)
    whole = np.append(falling[1:] < falling[:-1], True)  # rows of one confidence are accepted together
    good = np.flatnonzero(whole & (expected >= precision))
    if not len(good):
        expected = (right[order].cumsum() + 1) / (count + 2)  # Laplace's rule of succession: highest before a wrong row
    best = good[-1] if len(good) else np.flatnonzero(whole & (expected == expected[whole].max()))[-1]
    return max(float(falling[best]), _LEAST_THRESHOLD), float(expected[best])
