"""Probabilities that mean what they say: temperature scaling, how far off they are, and the threshold to accept at.

All of it is fitted on held-out products, whose labels are the shop's too: those that confident learning takes to be
wrong are left out.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import MetricError

BINS: Final = 15
_TEMPERATURES: Final = np.geomspace(0.05, 20.0, 300)  # 2 % apart
_OWN_ROWS: Final = 20  # as many held-out rows do the network's own probabilities count for in the temperature
_PRIOR_ROWS: Final = 100  # and the calibrated ones in the precision of what is accepted
_LEAST_THRESHOLD: Final = 0.5


@dataclass(frozen=True)
class Calibration:
    """What a classifier's checkpoint carries besides its weights."""

    temperature: float  # divides logits
    threshold: float  # probability at which a named category is believed
    precision: float  # expected of what is believed
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
    suspects = suspected(softmax(logits), labels)
    logits, labels = logits[~suspects], labels[~suspects]
    temperature = fit_temperature(logits, labels)
    probabilities = softmax(logits / temperature)
    named = probabilities.argmax(1)
    open_to = named != reject
    threshold, expected = threshold_for(probabilities.max(1)[open_to], (named == labels)[open_to], precision)
    return Calibration(temperature, threshold, expected, suspects)


def suspected(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows whose label is likely to be wrong: confident learning (Northcutt et al. 2021).

    A row counts as confidently of a class when the class has at least the mean probability that it has on rows labelled
    so. One that is confidently of another class than its label is suspected.

    Args:
        probabilities: (n, classes) of rows that were not trained on.
        labels: (n,).
    """
    classes = range(probabilities.shape[1])
    least = np.array([probabilities[labels == at, at].mean() if (labels == at).any() else np.inf for at in classes])
    sure = np.where(probabilities >= least, probabilities, 0.0)
    result: NDArray[np.bool_] = sure.any(1) & (sure.argmax(1) != labels)
    return result


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of logits as probabilities."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return result


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The number by which to divide logits so that held-out labels are likeliest (Guo et al. 2017).

    It never changes which class is named. The network's own probabilities count for 20 rows more, so that a handful of
    held-out rows that all happen to be right do not make it sure of everything. Searched on a grid: the likelihood has
    a single peak.

    Args:
        logits: (n, classes) of rows that were not trained on.
        labels: (n,).

    Raises:
        MetricError: there is no row.
    """
    if not len(labels):
        raise MetricError("no held-out row to fit a temperature on")
    targets = softmax(logits) * _OWN_ROWS / len(labels)
    targets[np.arange(len(labels)), labels] += 1
    losses = [-(targets * np.log(softmax(logits / t).clip(1e-12))).sum() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


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
