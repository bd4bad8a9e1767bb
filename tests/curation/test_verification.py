"""The verification score: more evidence, more belief."""

import numpy as np
import pytest

from curation.verification import LEAST, evidence, verification_scores


@pytest.mark.parametrize("position", [0, 1, 2, 4, 5])
def test_verification_scores__rises_with_each_opinion(position: int) -> None:
    shares = [[0.7], [0.8], [0.8], [0.1], [0.6], [0.5]]
    low = verification_scores(*shares)
    shares[position] = [shares[position][0] + 0.15]
    assert 0 < low[0] < verification_scores(*shares)[0] < 1


def test_verification_scores__without_an_encoder() -> None:
    sure, unsure = verification_scores([0.95, 0.5], [0.99, 0.8], [0.95, 0.6], [0.0, 0.0])
    assert unsure < LEAST < sure < 1


def test_evidence__certainty_is_bounded() -> None:
    assert np.isfinite(evidence([0.0, 1.0], [1.0, 0.0], [0.0, 9.0])).all()
    assert np.isfinite(evidence([0.5], [0.5], [0.0], [1.0], [0.0])).all()
    assert evidence([0.5], [0.5], [-0.5], [0.3]).tolist() == [[0.0, 0.0, 0.25, 0.3, 0.0]]


@pytest.mark.parametrize("similarity", [None, [0.8] * 4])
def test_verification_scores__other_proportions_are_doubted(similarity: list[float] | None) -> None:
    alike, wider, taller, absurd = verification_scores(
        [0.9] * 4, [1.0] * 4, [0.9] * 4, [0.0, -0.7, 0.7, 9.0], similarity
    )
    assert absurd < wider < alike
    assert wider == taller
    assert absurd == pytest.approx(verification_scores([0.9], [1.0], [0.9], [1.0], similarity and [0.8])[0])
