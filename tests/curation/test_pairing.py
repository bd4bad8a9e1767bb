"""Pairing rules: every tagged product leaves with crops or with a reason."""

from typing import Any

import pytest

from curation.pairing import PairingRules, assign, garments, pair_post

RULES = PairingRules()
PRIOR = PairingRules(dominance=0.0, least_agreement=0.0, least_lead=1.0)


def _crop(category: str, score: float, side: float, colour: str = "red") -> dict[str, Any]:
    return {"category": category, "score": score, "box": [0, 0, side, side], "colour": colour}


def _tag(category: str, colour: str = "red", *, kept: bool = True) -> dict[str, Any]:
    return {"category": category, "kept": kept, "colour": colour}


def _agreement(crop: dict[str, Any], tag: dict[str, Any]) -> float:
    return 0.9 if crop["colour"] == tag["colour"] else 0.3


def test_garments__two_shoes_are_one_three_are_left() -> None:
    shoes = garments([_crop("shoes", 0.6, 30), _crop("shoes", 0.9, 32)], PRIOR)["shoes"]
    assert [crop["score"] for crop in shoes] == [0.9]
    assert len(garments([_crop("shoes", 0.9, 30)] * 3, PRIOR)["shoes"]) == 3


def test_garments__small_background_box_is_ignored_unless_prior_rule() -> None:
    crops = [_crop("top", 0.8, 100), _crop("top", 0.95, 30)]
    assert [crop["score"] for crop in garments(crops, RULES)["top"]] == [0.8]
    assert len(garments(crops, PRIOR)["top"]) == 2


@pytest.mark.parametrize(
    ("boxes", "tags", "found"),
    [
        (["red"], ["blue"], {0: "red"}),  # nothing to choose between: colours are judged later
        (["red", "blue"], ["blue"], {0: "blue"}),
        (["red"], ["blue", "red"], {1: "red"}),
        (["red", "blue"], ["blue", "red"], {0: "blue", 1: "red"}),
        (["red", "red"], ["red"], {}),
        (["red"], ["red", "red"], {}),
        (["red", "blue"], ["green"], {}),
        ([], ["red"], {}),
    ],
)
def test_assign__colours_decide_where_they_differ(boxes: list[str], tags: list[str], found: dict[int, str]) -> None:
    crops, thumbnails = [_crop("top", 0.9, 50, colour) for colour in boxes], [_tag("top", colour) for colour in tags]
    assert {tag: crop["colour"] for tag, crop in assign(crops, thumbnails, _agreement, RULES).items()} == found


def test_assign__prior_rule_never_chooses() -> None:
    crops = [_crop("top", 0.9, 50), _crop("top", 0.9, 50, "blue")]
    assert assign(crops, [_tag("top")], lambda crop, tag: float(crop["colour"] == tag["colour"]), PRIOR) == {}


@pytest.mark.parametrize(
    ("photos", "tags", "reposts", "reasons"),
    [
        ({0: [_crop("top", 0.9, 50)]}, ["top"], set(), [None]),
        ({0: [_crop("top", 0.9, 50)]}, ["top", "hat"], set(), [None, "no_box_of_category"]),
        ({0: [_crop("top", 0.9, 50)]}, ["top", "top"], set(), ["ambiguous_tags"] * 2),
        ({0: [_crop("top", 0.9, 50)] * 2}, ["top"], set(), ["ambiguous_boxes"]),
        ({0: [_crop("top", 0.9, 50)]}, ["top"], {0}, ["repost"]),
        ({0: [_crop("top", 0.9, 50)] * 2, 1: [_crop("top", 0.7, 50)]}, ["top"], set(), [None]),
        ({}, ["top"], set(), ["no_box_of_category"]),
        ({0: [_crop("top", 0.7, 50)], 1: [_crop("top", 0.9, 50)]}, ["top"], set(), [None, None]),
        ({0: [_crop("top", 0.7, 50)], 1: [_crop("top", 0.9, 50)]}, ["top"], {1}, [None]),
    ],
)
def test_pair_post__reason(photos: Any, tags: list[str], reposts: set[int], reasons: list[str | None]) -> None:
    thumbnails = [_tag(tag) for tag in tags]
    assert [reason for _, _, reason in pair_post(photos, thumbnails, reposts, _agreement, RULES)] == reasons


def test_pair_post__every_photo_that_shows_it_surest_first() -> None:
    photos = {0: [_crop("top", 0.7, 50)], 1: [_crop("hat", 0.9, 50)], 2: [_crop("top", 0.8, 50)]}
    pairs = list(pair_post(photos, [_tag("top")], set(), _agreement, RULES))
    assert [crop and crop["score"] for _, crop, _ in pairs] == [0.8, 0.7]


def test_pair_post__dropped_thumbnail_does_not_make_its_class_ambiguous() -> None:
    thumbnails = [_tag("top"), _tag("top", kept=False)]
    found = [reason for _, _, reason in pair_post({0: [_crop("top", 0.9, 50)]}, thumbnails, set(), _agreement, RULES)]
    assert found == [None, "thumbnail_dropped"]


def test_pair_post__two_people_in_other_colours() -> None:
    photos = {0: [_crop("top", 0.9, 50, "red"), _crop("top", 0.8, 50, "blue")]}
    (found,) = pair_post(photos, [_tag("top", "blue")], set(), _agreement, RULES)
    assert found[1] is photos[0][1]
