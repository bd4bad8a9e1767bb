"""Noise: a wrong pair is more doubtful than a right one, by each piece of evidence."""

import numpy as np

from curation.noise import noise_scores
from curation.pair_rows import Pair
from tests.curation.builders import read_colours, scene


def _pair(post: int, product: int, shown: int, score: float = 0.9) -> Pair:
    facts = {"site": "kream", "post_id": post, "product_id": str(product), "product_cluster_id": f"c{product}",
             "positive_sha256": f"p{product}", "category": "hat", "detector_score": score}  # fmt: skip
    return Pair(facts, scene(shown), scene(product))


def _noise(pairs: list[Pair]) -> np.ndarray:
    return noise_scores(*read_colours(pairs))


def test_noise_scores__wrong_tags_come_first() -> None:
    pairs = [_pair(post, post % 30, post % 30) for post in range(90)]
    wrong = [5, 17, 42, 63]
    for row in wrong:
        pairs[row] = _pair(row, row % 30, 500 + row)
    noise = _noise(pairs)
    assert set(np.argsort(-noise)[:4].tolist()) == set(wrong)
    assert noise.min() >= 0
    assert noise.max() <= 1


def test_noise_scores__an_unsure_box_is_doubtful() -> None:
    sure, unsure = _noise([_pair(1, 1, 1), _pair(2, 2, 2, score=0.5)])
    assert sure < unsure


def test_noise_scores__the_odd_one_out_of_a_product_is_doubtful() -> None:
    same = [_pair(post, 1, 8) for post in range(5)]  # five posts show it alike, though unlike its thumbnail
    odd = _pair(6, 1, 30)
    for number, pair in enumerate([*same, odd]):
        pair.facts["product_id"] = f"its id on site {number}"
    noise = _noise([*same, odd])
    assert noise[-1] > noise[:-1].max()


def test_noise_scores__a_post_does_not_vouch_for_itself() -> None:
    once = _noise([_pair(1, 1, 30), _pair(2, 1, 8)])
    twice = _noise([_pair(1, 1, 30), _pair(1, 1, 30), _pair(2, 1, 8)])
    np.testing.assert_allclose(twice[0], once[0], rtol=1e-5)
