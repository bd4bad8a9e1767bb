"""The classifier's gate: the candidate and the classifier in use name the same held-out thumbnails."""

from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import open_checkpoint
from models.classifier.data import Thumbnails, read_held_out
from models.classifier.evaluate import held_out_logits
from models.classifier.infer import Classifier
from models.promotion import Verdict, beats, not_worse

MEASURE: Final = "accuracy"


def weigh_classifier(candidate: Path, in_use: Path | None, shop: Path, *, margin: float) -> Verdict:
    """Compare how often each names a held-out thumbnail as the shop does, with products as clusters.

    A product never moves from train to validation, so the classifier in use has not learned from these either. Wrong
    names in the catalog count against both alike.

    Args:
        candidate: checkpoint directory.
        in_use: checkpoint directory of the classifier that would be replaced; None asks to beat the commonest name.
        shop: the first source that the candidate was trained on, as in `read_thumbnails`.
        margin: how much worse than the one in use a candidate may be, in accuracy.

    Raises:
        MetricError: there are too few products to tell.
    """
    _, manifest = open_checkpoint(candidate, "classifier")
    manifests = [manifest, *([open_checkpoint(in_use, "classifier")[1]] if in_use else [])]
    shares = [it.config.get("validation_share", 1.0) for it in manifests]  # a published checkpoint does not say
    classifiers = [Classifier.load(path) for path in (candidate, in_use) if path]
    height, width = (max(sides) for sides in zip(*(it.input_size for it in classifiers), strict=True))
    held_out = read_held_out(shop, (height, width), min(shares), candidate.parent)  # sharp enough for either
    if in_use is None:
        commonest = Counter(held_out.labels.tolist()).most_common(1)[0][1] / len(held_out)
        return beats(MEASURE, float(manifest.metrics[MEASURE]), {"commonest category": commonest})
    new, old = (_right(classifier, held_out) for classifier in classifiers)
    return not_worse(new, old, np.array(held_out.products), margin=margin, measure=MEASURE)


def _right(classifier: Classifier, held_out: Thumbnails) -> NDArray[np.float64]:
    """Whether each thumbnail gets the shop's name, 0 or 1; (n,)."""
    return np.asarray(held_out_logits(classifier, held_out).argmax(1) == held_out.labels, np.float64)
