"""How sure a pair is: one probability from five opinions that know nothing of each other.

The classifier's probability that the category is right, times the probability that the crop then shows the product:
a logistic regression of the detector's score, the agreement of colours, how far the proportions of crop and thumbnail
differ (a box may hold only the foot of a boot), and the cosine of an encoder that never saw the post. Its weights were
fitted on drawn posts, whose truth is known, by `python -m benchmarks.verification`, which also tells how well they are
calibrated on worlds they were not fitted on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEAST: Final = 0.95
"""Of the probability of a pair that is kept, by default."""
_EDGE: Final = 1e-3  # a share nearer to 0 or 1 says no more than this
_OTHER_SHAPE: Final = 1.0  # proportions that differ by more, as a logarithm, say no more than this


@dataclass(frozen=True)
class Weights:
    """Of the log odds of two shares, of squared proportions, of the cosine itself, and the constant."""

    detector: float
    colours: float
    proportions: float
    similarity: float
    constant: float


WITH_ENCODER: Final = Weights(detector=0.383, colours=0.107, proportions=-3.306, similarity=8.923, constant=-4.275)
WITHOUT_ENCODER: Final = Weights(detector=0.766, colours=1.258, proportions=-3.51, similarity=0.0, constant=0.171)


def evidence(
    detector: ArrayLike, colours: ArrayLike, proportions: ArrayLike, similarity: ArrayLike | None = None
) -> Floats:
    """What the weights weigh, (n, 4).

    Log odds of two shares in 0-1; the square of `proportions`, which are the logarithm of a crop's height by width over
    the thumbnail's; and the cosine (0 where there is none).
    """
    shares = np.stack([np.asarray(values, np.float64) for values in (detector, colours)], axis=1)
    cosine = np.zeros(len(shares)) if similarity is None else np.asarray(similarity, np.float64)
    clipped = shares.clip(_EDGE, 1 - _EDGE)
    shape = np.square(np.asarray(proportions, np.float64)).clip(max=_OTHER_SHAPE**2)
    return np.column_stack([np.log(clipped / (1 - clipped)), shape, cosine])


def verification_scores(
    detector: ArrayLike,
    classifier: ArrayLike,
    colours: ArrayLike,
    proportions: ArrayLike,
    similarity: ArrayLike | None = None,
) -> Floats:
    """Probability that each of n pairs is right, (n,). Without `similarity`, by the other four."""
    weights = WITHOUT_ENCODER if similarity is None else WITH_ENCODER
    slopes = np.array([weights.detector, weights.colours, weights.proportions, weights.similarity])
    odds: Floats = evidence(detector, colours, proportions, similarity) @ slopes + weights.constant
    right: Floats = 1 / (1 + np.exp(-odds))
    return np.asarray(classifier, np.float64) * right
