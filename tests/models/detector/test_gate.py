"""F1 of one picture by hand."""

import pytest

from models.boxes import Detection
from models.detector.gate import picture_f1

SHOE, BAG = ("shoes", (0.0, 0.0, 10.0, 10.0)), ("bag", (20.0, 0.0, 40.0, 20.0))


def found(category: str, *box: float, score: float = 0.9) -> Detection:
    return Detection(category, score, box)


@pytest.mark.parametrize(
    ("truth", "detections", "f1"),
    [
        ([], [], 1.0),
        ([], [found("shoes", 0, 0, 10, 10)], 0.0),
        ([SHOE], [], 0.0),
        ([SHOE, BAG], [found("shoes", 0, 0, 10, 10), found("bag", 20, 0, 40, 20)], 1.0),
        ([SHOE, BAG], [found("shoes", 0, 0, 10, 10)], 2 / 3),
        ([SHOE], [found("bag", 0, 0, 10, 10)], 0.0),  # another class
        ([SHOE], [found("shoes", 0, 0, 10, 4)], 0.0),  # too loose
        ([SHOE], [found("shoes", 0, 0, 10, 10), found("shoes", 0, 0, 10, 9, score=0.8)], 2 / 3),  # found once
        ([SHOE, ("shoes", (0, 0, 10, 8))], [found("shoes", 0, 0, 10, 8)], 2 / 3),
    ],
)
def test_picture_f1(truth: list, detections: list[Detection], f1: float) -> None:
    assert picture_f1(truth, detections) == pytest.approx(f1)
