"""Boxes: overlap, suppression, cutting out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.boxes import Detection, clip_box, cut, overlap, suppress, without_doubles


def test_overlap__hand_made():
    result = overlap([(0, 0, 2, 2)], [(0, 0, 2, 2), (1, 0, 3, 2), (5, 5, 6, 6), (1, 1, 1, 1)])
    np.testing.assert_allclose(result, [[1, 1 / 3, 0, 0]])


def test_overlap__nothing():
    assert overlap([], [(0, 0, 1, 1)]).shape == (0, 1)


def test_suppress__best_survives_whatever_the_class():
    boxes = [("top", 0.6, (0, 0, 10, 10)), ("outer", 0.9, (0, 0, 10, 9)), ("bag", 0.5, (20, 20, 30, 30))]
    assert suppress([Detection(*item) for item in boxes], 0.75) == [False, True, True]


def test_suppress__a_suppressed_box_suppresses_nothing():
    chain = [Detection("top", 0.9 - i / 10, (3.0 * i, 0, 10 + 3.0 * i, 10)) for i in range(3)]
    assert suppress(chain, 0.5) == [True, False, True]


def test_suppress__overlap_at_the_limit_stays():
    pair = [Detection("top", 0.9, (0, 0, 10, 10)), Detection("top", 0.8, (0, 0, 10, 5))]
    assert suppress(pair, 0.5) == [True, True]


corner = st.floats(0, 50)
side = st.floats(0.5, 50)


@given(st.lists(st.tuples(st.floats(0, 1), corner, corner, side, side), max_size=12), st.floats(0.1, 0.9))
def test_suppress__no_two_survivors_overlap(rows, limit):
    items = [Detection("top", score, (x, y, x + w, y + h)) for score, x, y, w, h in rows]
    alive = [item for item, keep in zip(items, suppress(items, limit), strict=True) if keep]
    between = overlap([a.box for a in alive], [a.box for a in alive]) - np.eye(len(alive))
    assert not items or alive
    assert (between <= limit + 1e-9).all()


def test_clip_box__whole_pixels_inside():
    assert clip_box((-3.5, 1.2, 7.1, 99.0), 10, 20) == (0, 1, 8, 20)


def test_cut__size():
    assert cut(Image.new("RGB", (10, 20)), (2.5, 3.0, 7.0, 50.0)).size == (5, 17)


@pytest.mark.parametrize("box", [(11, 0, 15, 5), (-5, -5, -1, -1)])
def test_cut__outside(box):
    with pytest.raises(ValueError, match="10×20"):
        cut(Image.new("RGB", (10, 20)), box)


def test_without_doubles__drops_the_weaker_of_one_class_only():
    near = (0.0, 0.0, 10.0, 11.0)
    found = [Detection("top", 0.9, (0, 0, 10, 10)), Detection("outer", 0.8, near), Detection("top", 0.7, near)]
    assert without_doubles(found, 0.6) == found[:2]


def test_without_doubles__two_shoes_stay():
    found = [Detection("shoes", 0.9, (0, 0, 10, 5)), Detection("shoes", 0.8, (6, 0, 16, 5))]
    assert without_doubles(found, 0.6) == found


def test_without_doubles__of_equals_one_stays():
    twice, other = Detection("top", 0.9, (0, 0, 10, 10)), Detection("hat", 0.8, (0, 0, 10, 10))
    assert without_doubles([twice, other, twice], 0.6) == [twice, other]
