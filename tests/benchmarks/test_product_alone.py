"""What the benchmark of products alone says of its measurements, and on what it makes them."""

import csv
import json
from pathlib import Path

import pytest

from benchmarks import product_alone
from curation.taxonomy import CATEGORIES
from tests.models import toys


def _look(people: float, plain: float, scene: float) -> list[dict[str, float]]:
    return [{"people": people, "plain ground": plain, "scene": scene}]


def test_report__the_best_is_chosen_on_other_tests(capsys: pytest.CaptureFixture[str]) -> None:
    choose = {"people only": _look(0.9, 0.1, 0.1), "pasted": _look(0.8, 0.6, 0.6), "alone": _look(0.8, 0.5, 0.5)}
    measure = {"people only": _look(0.8, 0.2, 0.1), "pasted": _look(0.7, 0.4, 0.3), "alone": _look(0.9, 0.9, 0.9)}
    product_alone._report(choose, measure)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "best": "pasted",
        "ap50_alone_after": 0.35,
        "ap50_alone_before": 0.15,
        "ap50_people_change": -0.1,
    }


def test_real__no_picture_is_both_chosen_and_measured_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    street = toys.coco_folder(tmp_path / "data" / "street", 40)
    annotations = json.loads((street / "annotations.json").read_text())
    for image in annotations["images"]:
        image["file_name"] = f"images/{image['file_name']}"
    (street / "boxes_coco.json").write_text(json.dumps(annotations))
    folder = tmp_path / "data" / "thumbnails"
    (folder / "images").mkdir(parents=True)
    rows = [(f"images/{group}{copy}.png", CATEGORIES[group % 7], f"g{group}") for group in range(20) for copy in "ab"]
    for image, category, group in rows:
        toys.thumbnail(category, int(group[1:])).save(folder / image)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "category", "group"), *rows])
    monkeypatch.setenv("FASHION_REAL_DATA", str(tmp_path / "data"))
    (tmp_path / "out").mkdir()
    _, _, choose, measure = product_alone._real(tmp_path / "out")
    for test in ("people", "products"):
        first, second = ({sample.image.tobytes() for sample in tests[test]} for tests in (choose, measure))
        assert first
        assert second
        assert not first & second
