"""Measures of the classifier: accuracy, confusion matrix, and the products on which it disagrees with the shop."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curation.taxonomy import LABELS
from models.classifier.data import Thumbnails
from models.classifier.infer import Classifier
from models.errors import MetricError

_MOST_LISTED: Final = 100  # disagreements kept in the manifest, surest first


def held_out_logits(classifier: Classifier, held_out: Thumbnails) -> NDArray[np.float64]:
    """What the network says of each thumbnail before calibration; (n, 8)."""
    return np.concatenate([classifier.logits(images) for images in held_out.images()])


def classification_metrics(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.floating[Any]],
    products: Sequence[str],
    threshold: float | NDArray[np.float64] = 0.8,
    suspects: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Accuracy and what stands behind it.

    Args:
        labels: (n,) positions in LABELS.
        probabilities: (n, 8).
        products: (n,) ids for the list of disagreements.
        threshold: probability at which pairing accepts a thumbnail, one for all or one for each.
        suspects: (n,) rows whose label is taken to be wrong; marked among the disagreements.

    Returns:
        `accuracy`, `accuracy_balanced` (mean over classes that occur), `confusion` (rows truth, columns prediction),
        `accepted` (share over the threshold and not etc) and `accepted_precision`, `disagreements`. The precision is
        null when nothing was accepted.

    Raises:
        MetricError: there is no row, or the lengths differ.
    """
    if not len(labels) or len({len(labels), len(probabilities), len(products)}) != 1:
        raise MetricError(f"{len(labels)} labels, {len(probabilities)} predictions, {len(products)} products")
    predicted = probabilities.argmax(1)
    confusion = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    present = confusion.sum(1) > 0
    accepted = (probabilities.max(1) >= threshold) & (predicted != LABELS.index("etc"))
    return {
        "accuracy": float((predicted == labels).mean()),
        "accuracy_balanced": float((np.diag(confusion)[present] / confusion.sum(1)[present]).mean()),
        "confusion": confusion.tolist(),
        "accepted": float(accepted.mean()),
        "accepted_precision": float((predicted == labels)[accepted].mean()) if accepted.any() else None,
        "disagreements": _disagreements(labels, predicted, probabilities, products, suspects),
    }


def _disagreements(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.floating[Any]],
    products: Sequence[str],
    suspects: NDArray[np.bool_] | None,
) -> list[dict[str, Any]]:
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:_MOST_LISTED]
    return [
        {
            "product_id": products[row],
            "shop": LABELS[labels[row]],
            "predicted": LABELS[predicted[row]],
            "probability": float(probabilities[row].max()),
            "shop_is_wrong": suspects is not None and bool(suspects[row]),
        }
        for row in surest
    ]
