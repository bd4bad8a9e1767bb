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
_Z: Final = 1.96  # of a 95 % interval


@dataclass(frozen=True)
class Calibration:
    """What a classifier's checkpoint carries besides its weights."""

    temperature: float  # divides logits
    threshold: float  # probability at which a named category is believed
    suspects: NDArray[np.bool_]  # (n,) held-out rows whose label is taken to be wrong


def calibrate(logits: NDArray[np.float64], labels: NDArray[np.int64], precision: float, reject: int) -> Calibration:
    """Fit temperature and threshold on held-out rows.

    Args:
        logits: (n, classes).
        labels: (n,), some of which may be wrong.
        precision: stated share of the accepted rows that are right.
        reject: the class that is never accepted.

    Raises:
        MetricError: there is no row.
    """
    suspects = suspected(softmax(logits), labels)
    logits, labels = logits[~suspects], labels[~suspects]
    temperature = fit_temperature(logits, labels)
    probabilities = softmax(logits / temperature)
    named = probabilities.argmax(1)
    open_to = named != reject
    threshold = threshold_for(probabilities.max(1)[open_to], (named == labels)[open_to], precision)
    return Calibration(temperature, threshold, suspects)


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

    It never changes which class is named. Targets are a little less than sure, as if one more row had been wrong
    (Platt 1999): where every held-out row is right, nothing else would keep the temperature above 0. Searched on a
    grid: the likelihood has a single peak.

    Args:
        logits: (n, classes) of rows that were not trained on.
        labels: (n,).

    Raises:
        MetricError: there is no row.
    """
    if not len(labels):
        raise MetricError("no held-out row to fit a temperature on")
    unsure = 1 / (len(labels) + 2)
    targets = np.full(logits.shape, unsure / (logits.shape[1] - 1))
    targets[np.arange(len(labels)), labels] = 1 - unsure
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


def threshold_for(confidence: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    """The lowest confidence at which what is accepted is right as often as stated.

    Two things must hold of the accepted rows: the mean of their calibrated confidence reaches the precision, and the
    share that is right does not contradict it (its 95 % Wilson interval reaches it). With few held-out rows the first
    decides, since a handful cannot show 99 %; with many, the second.

    Args:
        confidence: (n,) calibrated, of held-out rows that may be accepted.
        right: (n,).
        precision: stated share, 0 to 1.

    Returns:
        The threshold; 1 when none will do.
    """
    order = np.argsort(-confidence, kind="stable")
    count = np.arange(1, len(order) + 1)
    expected = confidence[order].cumsum() / count
    possible = _wilson_high(right[order].cumsum() / count, count)
    good = np.flatnonzero((expected >= precision) & (possible >= precision))
    return float(confidence[order][good[-1]]) if len(good) else 1.0


def _wilson_high(share: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Upper end of Wilson's 95 % interval of a share."""
    middle = share + _Z**2 / (2 * count)
    spread = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    result: NDArray[np.float64] = (middle + spread) / (1 + _Z**2 / count)
    return result
