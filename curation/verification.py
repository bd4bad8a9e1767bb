"""How sure a pair is: one probability from several opinions.

The classifier's probability that the category is right, times the probability that the crop then shows the product:
a logistic regression of the detector's score, the agreement of colours, how far the proportions of crop and thumbnail
differ (a box may hold only the foot of a boot), and of an encoder that never saw the post: the cosine, and whether it
prefers this product to others of the class (a sibling may be tagged). Its weights were
fitted on drawn posts, whose truth is known, by `python -m benchmarks.verification`, which also tells how well they are
calibrated on worlds they were not fitted on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEAST: Final = 0.97
"""Of the probability of a pair that is kept, by default."""
_EDGE: Final = 1e-3  # a share nearer to 0 or 1 says no more than this
_OTHER_SHAPE: Final = 1.0  # proportions that differ by more, as a logarithm, say no more than this


@dataclass(frozen=True)
class Weights:
    """Of each column of `evidence`, and the constant."""

    detector: float
    colours: float
    proportions: float
    similarity: float
    preference: float
    constant: float


WITH_ENCODER: Final = Weights(
    detector=0.506, colours=0.1, proportions=-3.44, similarity=4.171, preference=0.428, constant=-0.038
)
WITHOUT_ENCODER: Final = Weights(
    detector=0.766, colours=1.258, proportions=-3.51, similarity=0.0, preference=0.0, constant=0.171
)


def evidence(
    detector: ArrayLike,
    colours: ArrayLike,
    proportions: ArrayLike,
    similarity: ArrayLike | None = None,
    preference: ArrayLike | None = None,
) -> Floats:
    """What the weights weigh, (n, 5).

    Log odds of two shares in 0-1; the square of `proportions`, which are the logarithm of a crop's height by width over
    the thumbnail's; the cosine, and the logarithm of the preference in 0-1 (both 0 where there is none).
    """
    shares = np.stack([np.asarray(values, np.float64) for values in (detector, colours)], axis=1)
    cosine = np.zeros(len(shares)) if similarity is None else np.asarray(similarity, np.float64)
    preferred = np.ones(len(shares)) if preference is None else np.asarray(preference, np.float64)
    clipped = shares.clip(_EDGE, 1 - _EDGE)
    shape = np.square(np.asarray(proportions, np.float64)).clip(max=_OTHER_SHAPE**2)
    odds = np.log(clipped / (1 - clipped))
    return np.column_stack([odds, shape, cosine, np.log(preferred.clip(_EDGE))])


def verification_scores(
    detector: ArrayLike,
    classifier: ArrayLike,
    colours: ArrayLike,
    proportions: ArrayLike,
    similarity: ArrayLike | None = None,
    preference: ArrayLike | None = None,
) -> Floats:
    """Probability that each of n pairs is right, (n,). Without an encoder's last two, by the other four."""
    weights = WITHOUT_ENCODER if similarity is None else WITH_ENCODER
    slopes = np.array([weights.detector, weights.colours, weights.proportions, weights.similarity, weights.preference])
    odds: Floats = evidence(detector, colours, proportions, similarity, preference) @ slopes + weights.constant
    right: Floats = 1 / (1 + np.exp(-odds))
    return np.asarray(classifier, np.float64) * right
