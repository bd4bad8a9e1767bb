"""Scores on a hand-made truth: two posts, one wrong tag, one bystander."""

import pyarrow as pa
import pytest

from sandbox.score import Judge, iou, pair_scores


def _truth() -> dict[str, pa.Table]:
    main, bystander = [10.0, 10.0, 50.0, 90.0], [60.0, 10.0, 90.0, 80.0]
    box = {"site": "kream", "position": 0, "category": "top", "visible": 1.0}
    tag = {"site": "kream", "position": 0}
    return {
        "boxes": pa.Table.from_pylist(
            [
                {**box, "post_id": 1, "person": "main", "product_id": 7, "box": main},
                {**box, "post_id": 1, "person": "bystander", "product_id": None, "box": bystander},
                {**box, "post_id": 2, "person": "main", "product_id": 8, "box": main},
                {**box, "post_id": 3, "person": "main", "product_id": 7, "box": main},
            ]
        ),
        "tags": pa.Table.from_pylist(
            [
                {**tag, "post_id": 1, "product_id": 7, "right": True},
                {**tag, "post_id": 2, "product_id": 7, "right": False},
                {**tag, "post_id": 3, "product_id": 7, "right": True},
            ]
        ),
        "products": pa.Table.from_pylist(
            [{"product_id": n, "kream_id": str(n), "onthelook_id": f"p{n}"} for n in (7, 8)]
        ),
        "posts": pa.Table.from_pylist(
            [
                {"site": "kream", "post_id": 1, "gone": False, "ai_made": False, "repost_of": None},
                {"site": "kream", "post_id": 2, "gone": False, "ai_made": False, "repost_of": None},
                {"site": "kream", "post_id": 3, "gone": False, "ai_made": False, "repost_of": 1},
            ]
        ),
        "broken": pa.Table.from_pylist(
            [{"site": "onthelook", "role": "thumbnail", "post_id": 0, "product_id": 7, "position": 0}]
        ),
    }


def _pair(post_id: int, box: list[float], product: str = "7") -> dict[str, object]:
    return {"site": "kream", "post_id": post_id, "photo_position": 0, "box": box, "product_id": product}


def test_judge__crop_of_the_product_is_right() -> None:
    judge = Judge(_truth())
    assert judge.is_right(_pair(1, [12, 12, 50, 88]))
    assert not judge.is_right(_pair(1, [60, 12, 90, 80]))  # the bystander's
    assert not judge.is_right(_pair(1, [10, 10, 50, 30]))  # too little of it
    assert not judge.is_right(_pair(2, [10, 10, 50, 90]))  # a wrong tag
    assert not judge.is_right(_pair(1, [12, 12, 50, 88], product="p7"))  # the other site's number


def test_pairable__reposts_and_wrong_tags_are_not_asked_for() -> None:
    assert Judge(_truth()).pairable() == {("kream", 1, 7)}


def test_pair_scores__by_hand() -> None:
    judge = Judge(_truth())
    pairs = [_pair(1, [10, 10, 50, 90]), _pair(2, [10, 10, 50, 90])]
    assert pair_scores(judge, pairs) == {"pair_precision": 0.5, "pair_recall": 1.0}


def test_pair_scores__nothing_to_score_raises() -> None:
    with pytest.raises(ValueError, match="0 pairs kept"):
        pair_scores(Judge(_truth()), [])


def test_judge__photos_without_boxes_trust_the_post() -> None:
    truth = {name: table for name, table in _truth().items() if name in ("products", "posts")}
    rows = [
        {"site": "kream", "post_id": n, "position": 0, "product_id": 7, "worn_product_id": w}
        for n, w in ((1, 7), (2, None))
    ]
    truth["tags"] = pa.Table.from_pylist([{**row, "right": row["worn_product_id"] is not None} for row in rows])
    judge = Judge(truth)
    assert judge.is_right(_pair(1, [0, 0, 1, 1]))
    assert not judge.is_right(_pair(2, [0, 0, 1, 1]))
    assert judge.pairable() == {("kream", 1, 7)}


def test_iou__by_hand() -> None:
    assert iou([0, 0, 2, 2], [1, 0, 3, 2]) == pytest.approx(1 / 3)
    assert iou([0, 0, 1, 1], [1, 1, 2, 2]) == 0
