"""How sure a pair is: one probability from four opinions that know nothing of each other.

The classifier's probability that the category is right, times the probability that the crop then shows the product:
a logistic regression of the detector's score, the agreement of colours, and the cosine of an encoder that never saw the
post. Its weights were fitted on drawn posts, whose truth is known, by `python -m benchmarks.verification`, which also
tells how well they are calibrated on worlds they were not fitted on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEAST: Final = 0.95
"""Of the probability of a pair that is kept, by default."""
_EDGE: Final = 1e-3  # a share nearer to 0 or 1 says no more than this


@dataclass(frozen=True)
class Weights:
    """Of the log odds of two shares, of the cosine itself, and the constant."""

    detector: float
    colours: float
    similarity: float
    constant: float


WITH_ENCODER: Final = Weights(detector=0.773, colours=0.448, similarity=8.063, constant=-4.626)
WITHOUT_ENCODER: Final = Weights(detector=1.101, colours=1.358, similarity=0.0, constant=-0.36)


def evidence(detector: ArrayLike, colours: ArrayLike, similarity: ArrayLike | None = None) -> Floats:
    """What the weights weigh, (n, 3): log odds of two shares in 0-1, and the cosine (0 where there is none)."""
    shares = np.stack([np.asarray(values, np.float64) for values in (detector, colours)], axis=1)
    cosine = np.zeros(len(shares)) if similarity is None else np.asarray(similarity, np.float64)
    clipped = shares.clip(_EDGE, 1 - _EDGE)
    return np.column_stack([np.log(clipped / (1 - clipped)), cosine])


def verification_scores(
    detector: ArrayLike, classifier: ArrayLike, colours: ArrayLike, similarity: ArrayLike | None = None
) -> Floats:
    """Probability that each of n pairs is right, (n,). Without `similarity`, by the other three."""
    weights = WITHOUT_ENCODER if similarity is None else WITH_ENCODER
    slopes = np.array([weights.detector, weights.colours, weights.similarity])
    odds: Floats = evidence(detector, colours, similarity) @ slopes + weights.constant
    right: Floats = 1 / (1 + np.exp(-odds))
    return np.asarray(classifier, np.float64) * right
