"""Worn garments of a detection dataset, as the classifier reads them."""

import json
from collections import Counter

import numpy as np
import pytest

from curation.taxonomy import CATEGORIES, LABELS
from models.classifier import worn
from models.classifier.worn import read_worn
from models.detector.dataset import build_detection_dataset
from models.errors import DataError
from tests.models import toys


def test_read_worn__boxes_of_train_photos(photos):
    data, fingerprint = read_worn(photos, (24, 20))
    annotated = json.loads((photos / "annotations_train.json").read_text())
    names = {category["id"]: category["name"] for category in annotated["categories"]}
    wanted = Counter(names[box["category_id"]] for box in annotated["annotations"] if min(box["bbox"][2:]) >= 20)
    assert Counter(LABELS[label] for label in data.labels) == wanted
    assert data.pixels().shape == (wanted.total(), 24, 20, 3)
    assert set(data.products) <= {image["file_name"] for image in annotated["images"]}
    middle = data.pixels()[:, 8:16, 7:13].mean((1, 2))  # a toy garment is of its class's colour
    np.testing.assert_allclose(middle, [toys.COLOURS[LABELS[label]] for label in data.labels], atol=12)
    assert fingerprint == read_worn(photos, (8, 8))[1]


def test_read_worn__of_twelve_classes_the_seven(tmp_path):
    folder = toys.coco_folder(tmp_path / "toy", 30)
    annotations = json.loads((folder / "annotations.json").read_text())
    annotations["categories"].append({"id": 99, "name": "belt"})
    for box in annotations["annotations"][::5]:
        box["category_id"] = 99
    (folder / "annotations.json").write_text(json.dumps(annotations))
    build_detection_dataset(
        [toys.coco_source(folder)], tmp_path / "data", validation_share=0.2, classes=(*CATEGORIES, "belt")
    )
    data, _ = read_worn(tmp_path / "data", (8, 8))
    assert set(data.labels.tolist()) == set(range(7))


def test_read_worn__no_class_fills_the_memory(photos, monkeypatch):
    monkeypatch.setattr(worn, "_OF_A_CLASS", 3)
    some, _ = read_worn(photos, (8, 8))
    assert np.bincount(some.labels).tolist() == [3] * 7


def test_read_worn__nothing_there(photos, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="is no detection dataset"):
        read_worn(tmp_path, (8, 8))
    monkeypatch.setattr(worn, "_LEAST_SIDE", 1_000)
    with pytest.raises(DataError, match="no box has sides of 1000 px"):
        read_worn(photos, (8, 8))
