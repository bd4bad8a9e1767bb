"""Products alone and pasted: boxes are where the pixels are, whatever the draw."""

import random

import numpy as np
import pytest
from PIL import Image

from curation.images import encode_jpeg
from curation.taxonomy import CATEGORIES
from models.config import make_config
from models.detector.augment import Sample
from models.detector.config import DetectorConfig
from models.detector.data import DetectionPictures, TrainingBatches
from models.detector.dataset import build_detection_dataset
from models.detector.products import Products, cut_out, pasted, stand_alone
from models.errors import ConfigError, DataError
from models.labelled import place_of
from models.presets import preset
from models.run import train
from tests.models import toys
from tests.models.conftest import TINY

RED = (200, 0, 0)


def thumbnail(ground=(255, 255, 255)):
    image = Image.new("RGB", (100, 120), ground)
    image.paste(RED, (30, 40, 80, 90))
    return image


def red_box(image):
    """xywh of the red pixels."""
    rows, columns = np.nonzero(np.all(np.asarray(image) == RED, axis=2))
    return [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def test_cut_out__product_on_plain_ground():
    product = cut_out(thumbnail(), "bag")
    assert (product.box, product.label) == ((30, 40, 80, 90), CATEGORIES.index("bag"))


@pytest.mark.parametrize(
    "image", [Image.effect_noise((50, 40), 80).convert("RGB"), Image.new("RGB", (50, 40), "white")]
)
def test_cut_out__nothing_to_cut_out(image):
    product = cut_out(image, "etc")
    assert (product.mask, product.box, product.label) == (None, (0, 0, 50, 40), None)


@pytest.mark.parametrize("seed", range(8))
def test_stand_alone__box_is_where_the_product_is(seed):
    sample = stand_alone(cut_out(thumbnail(), "bag"), random.Random(seed))
    assert sample.boxes == [red_box(sample.image)]
    assert sample.labels == [CATEGORIES.index("bag")]


def test_stand_alone__whole_picture_and_none_of_the_classes():
    noise = Image.effect_noise((50, 40), 80).convert("RGB")
    assert stand_alone(cut_out(noise, "top"), random.Random(0)).boxes == [[0.0, 0.0, 50.0, 40.0]]
    assert stand_alone(cut_out(thumbnail(), "etc"), random.Random(0)).boxes == []


@pytest.mark.parametrize("seed", range(8))
def test_pasted__box_is_where_the_product_is(seed):
    scene = Sample(Image.new("RGB", (200, 160), "green"), [[0.0, 0.0, 200.0, 160.0]], [2])
    sample = pasted(scene, cut_out(thumbnail(), "bag"), random.Random(seed))
    assert sample.boxes[0] == scene.boxes[0]
    assert sample.boxes[1] == pytest.approx(red_box(sample.image), abs=1)
    assert sample.labels == [2, CATEGORIES.index("bag")]
    assert red_box_count(scene.image) == 0  # the original is left alone


def red_box_count(image):
    return int(np.all(np.asarray(image) == RED, axis=2).sum())


def test_pasted__hidden_boxes_go():
    hidden = Sample(Image.new("RGB", (60, 60), "green"), [[0.0, 0.0, 60.0, 60.0], [29.0, 29.0, 2.0, 2.0]], [2, 3])

    class Middle(random.Random):
        def uniform(self, low, high):
            return high

        def randint(self, low, high):
            return (low + high) // 2

    assert pasted(hidden, cut_out(thumbnail(), "bag"), Middle()).labels == [2, 0]


def test_products__each_class_as_often_and_shares_kept():
    pictures = [("bag", encode_jpeg(thumbnail()))] * 30 + [("hat", encode_jpeg(thumbnail()))]
    products, draw = Products(pictures), random.Random(1)
    labels = [products.draw(draw).label for _ in range(60)]
    assert 15 < labels.count(CATEGORIES.index("hat")) < 45
    scene = Sample(Image.new("RGB", (200, 160), "green"), [], [])
    assert products.mixed(scene, 0.0, 0.0, draw) is scene
    assert len(products.mixed(scene, 1.0, 0.0, draw).boxes) == 1
    assert 1 <= len(products.mixed(scene, 0.0, 1.0, draw).boxes) <= 2


@pytest.mark.parametrize("pictures", [[], [("sock", b"")]])
def test_products__none_or_of_no_category(pictures):
    with pytest.raises(DataError, match="thumbnails"):
        Products(pictures)


def test_products__of_a_large_shop_as_many_of_each_class_and_not_the_first(tmp_path, monkeypatch):
    catalog = toys.catalog_table(tmp_path / "catalog", 12)  # a shard for each class
    everything = Products.read(catalog.root)
    assert {len(found) for found in everything._by_class.values()} == {12}
    monkeypatch.setattr("models.detector.products._MOST_OF_A_CLASS", 4)
    some = Products.read(catalog.root)
    for number, (name, found) in enumerate(some._by_class.items()):
        first = sorted(range(12), key=lambda index, number=number: place_of(str(number * 1000 + index)))[:4]
        assert found == [everything._by_class[name][index] for index in sorted(first)]
    assert any(found != everything._by_class[name][:4] for name, found in some._by_class.items())


def test_products__of_a_group_of_equal_digests_no_more_than_the_most(tmp_path, monkeypatch):
    monkeypatch.setattr("models.detector.products._MOST_OF_A_CLASS", 2)
    for number in range(5):
        toys.thumbnail("hat", number).save(tmp_path / f"{number}.png")
    lines = ["image,category,group", *(f"{number}.png,hat,g" for number in range(5))]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    read = Products.read(tmp_path)._by_class["hat"]
    assert read == [encode_jpeg(toys.thumbnail("hat", number)) for number in range(2)]


def test_training_batches__products_take_the_place_of_people(tmp_path):
    folder = toys.coco_folder(tmp_path / "toy", 40)
    build_detection_dataset([toys.coco_source(folder)], tmp_path / "data")
    catalog = toys.catalog_table(tmp_path / "catalog", 2).root
    changes = {"alone": 1.0, "thumbnails": str(catalog), "batch": 8, "workers": 0}
    config = make_config(DetectorConfig, preset("detector", "tiny", **changes))
    from transformers import RTDetrImageProcessor

    pictures = DetectionPictures(tmp_path / "data", "train")
    batch = TrainingBatches(pictures, RTDetrImageProcessor(size={"height": 64, "width": 48}), config)(0)
    assert {len(target["class_labels"]) for target in batch["labels"]} <= {0, 1}
    assert min(len(boxes) for boxes in pictures._boxes) > 1


def test_products__what_was_shown_is_part_of_the_datas_fingerprint(photos, tmp_path):
    changes = {**TINY, "steps": 1, "batch": 2, "height": 64, "width": 64, "alone": 0.5}
    made = []
    for category in ("hat", "bag"):
        folder = tmp_path / category
        folder.mkdir()
        toys.thumbnail("hat", 1).save(folder / "a.png")
        (folder / "labels.csv").write_text(f"image,category,group\na.png,{category},g\n")
        values = preset("detector", "tiny", **changes, thumbnails=str(folder))
        made.append(train("detector", values, photos, folder / "detector").data_fingerprint)
    assert made[0] != made[1]


def test_detector_config__products_need_a_source():
    with pytest.raises(ConfigError, match="need `thumbnails`"):
        make_config(DetectorConfig, preset("detector", "tiny", alone=0.1))
