"""Each reader on files as its maker lays them out, and the registry of sources."""

import json
import os
from pathlib import Path

import pytest

from curation.taxonomy import CATEGORIES
from models.detector.categories import CLASSES
from models.detector.dataset import build_detection_dataset
from models.detector.sources import MAKERS, configured, source
from models.errors import DataError
from tests.documents import ROOT, blocks
from tests.models import toys

DEEPFASHION2 = {"top": "long sleeve top", "outer": "short sleeve outwear", "bottom": "trousers", "dress": "sling dress"}
K_FASHION = {"top": "상의", "outer": "아우터", "bottom": "하의", "dress": "원피스"}


def read(name, folder):
    """Our class and box of each picture, by the picture's path."""
    maker = MAKERS[name]
    return {
        item.picture.as_posix(): item.fault or [(maker.classes.get(name), box) for name, box in item.boxes]
        for item in maker.read(folder)
    }


def deepfashion2_file(folder, number, truth):
    (folder / "annos").mkdir(parents=True, exist_ok=True)
    (folder / "image").mkdir(exist_ok=True)
    items = {
        f"item{index}": {
            "category_name": DEEPFASHION2[name],
            "category_id": 1,
            "style": 0,
            "bounding_box": [round(n) for n in box],
            "landmarks": [0, 0, 0],
            "segmentation": [[0, 0, 1, 1]],
            "scale": 2,
            "occlusion": 1,
            "zoom_in": 1,
            "viewpoint": 2,
        }
        for index, (name, box) in enumerate(truth, 1)
        if name in DEEPFASHION2
    }
    annotation = {**items, "source": "user", "pair_id": number}
    (folder / "annos" / f"{number:06d}.json").write_text(json.dumps(annotation))


def k_fashion_file(folder, number, truth, picture="원천데이터/로맨틱"):
    rects = {slot: [{}] for slot in K_FASHION.values()}
    for name, (x0, y0, x1, y1) in truth:
        if name in K_FASHION:
            rects[K_FASHION[name]] = [{"X좌표": x0, "Y좌표": y0, "가로": x1 - x0, "세로": y1 - y0}]
    labels = {slot: [{"색상": "화이트"} if boxes != [{}] else {}] for slot, boxes in rects.items()}
    annotation = {
        "데이터셋 정보": {
            "데이터셋 상세설명": {"라벨링": {"스타일": [{"스타일": "로맨틱"}], **labels}, "렉트좌표": rects},
            "파일 번호": number,
            "파일 이름": f"shop-{number}.jpg",
        },
        "이미지 정보": {
            "이미지 너비": 160,
            "이미지 높이": 200,
            "이미지 식별자": number,
            "이미지 파일명": f"shop-{number}.jpg",
        },
    }
    (folder / "라벨링데이터" / "로맨틱").mkdir(parents=True, exist_ok=True)
    (folder / picture).mkdir(parents=True, exist_ok=True)
    path = folder / "라벨링데이터" / "로맨틱" / f"{number}.json"
    path.write_text(json.dumps(annotation, ensure_ascii=False))
    return path


def test_read_deepfashion2__corners_become_sides_and_parts_are_joined(tmp_path):
    deepfashion2_file(tmp_path / "train", 1, [("top", (10, 20, 60, 90)), ("bottom", (10, 90, 60, 190))])
    deepfashion2_file(tmp_path / "validation", 1, [("dress", (5, 5, 50, 100))])
    (tmp_path / "train" / "annos" / "000002.json").write_text('{"item1": ')
    (tmp_path / "train" / "annos" / "000003.json").write_text('{"item1": {"bounding_box": [1, 2, null, 4]}}')
    assert read("deepfashion2", tmp_path) == {
        "train/image/000001.jpg": [("top", [10, 20, 50, 70]), ("bottom", [10, 90, 50, 100])],
        "train/image/000002.jpg": "annotation_malformed",
        "train/image/000003.jpg": [(None, None)],
        "validation/image/000001.jpg": [("dress", [5, 5, 45, 95])],
    }


def test_read_deepfashion2__vest_is_a_top():
    assert MAKERS["deepfashion2"].classes["vest"] == "top"
    assert MAKERS["fashionpedia"].classes["vest"] == "outer"
    assert len(MAKERS["deepfashion2"].classes) == 13


def test_read_k_fashion__pictures_by_number_or_by_name(tmp_path):
    k_fashion_file(tmp_path, 1070263, [("top", (10, 20, 60, 90)), ("outer", (5, 10, 80, 110))])
    k_fashion_file(tmp_path, 7, [("bottom", (0, 0, 9, 9))])
    k_fashion_file(tmp_path, 8, [("bottom", (0, 0, 9, 9))])
    (tmp_path / "원천데이터" / "로맨틱" / "1070263.jpg").touch()
    (tmp_path / "원천데이터" / "로맨틱" / "shop-7.jpg").touch()
    assert read("k-fashion", tmp_path) == {
        "원천데이터/로맨틱/1070263.jpg": [("top", [10, 20, 50, 70]), ("outer", [5, 10, 75, 100])],
        "원천데이터/로맨틱/shop-7.jpg": [("bottom", [0, 0, 9, 9])],
        "라벨링데이터/로맨틱/8.jpg": [("bottom", [0, 0, 9, 9])],  # missing: counted by the builder
    }


def test_read_k_fashion__jumpsuit_and_broken_files(tmp_path):
    path = k_fashion_file(tmp_path, 1, [("dress", (10, 20, 60, 90))])
    data = json.loads(path.read_text())
    data["데이터셋 정보"]["데이터셋 상세설명"]["라벨링"]["원피스"] = [{"카테고리": "점프수트"}]
    path.write_text(json.dumps(data))
    for number, text in enumerate(['{"이미지 정보": {}}', "[]", "\xff", '{"데이터셋 정보": 3}'], 2):
        path.with_name(f"{number}.json").write_bytes(
            text.encode("latin-1", "ignore") if "\xff" in text else text.encode()
        )
    found = read("k-fashion", tmp_path)
    assert found["라벨링데이터/로맨틱/1.jpg"] == [("jumpsuit", [10, 20, 50, 70])]
    assert list(found.values()).count("annotation_malformed") == 4


def test_read_coco__crowds_and_broken_rows(tmp_path):
    data = {
        "categories": [{"id": 1, "name": "top"}, "hat"],
        "images": [{"id": 1, "file_name": "a.jpg", "width": 5, "height": 6}, {"id": 2}, 7],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]},
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "iscrowd": 1},
            {"image_id": 3, "category_id": 1, "bbox": [0, 0, 5, 5]},
            None,
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(data))
    assert read("modanet", tmp_path) == {
        "images/a.jpg": [("top", [0, 0, 5, 5]), (None, [0, 0, 5, 5])],
        "2": "annotation_malformed",
        "3": "annotation_without_image",
    }


def test_read_modanet__as_published(tmp_path):
    (tmp_path / "annotations").mkdir()
    for number, part in enumerate(("train", "val")):
        data = {
            "categories": [{"id": 1, "name": "bag"}],
            "images": [{"id": number, "file_name": f"{number}.jpg"}],
            "annotations": [{"image_id": number, "category_id": 1, "bbox": [0, 0, 5, 5]}],
        }
        (tmp_path / "annotations" / f"modanet2018_instances_{part}.json").write_text(json.dumps(data))
    (tmp_path / "annotations" / "modanet2018_instances_test.json").write_text('{"images": []}')  # has no annotations
    assert read("modanet", tmp_path) == {f"images/{number}.jpg": [("bag", [0, 0, 5, 5])] for number in (0, 1)}


@pytest.mark.skipif("FASHION_REAL_DATA" not in os.environ, reason="needs the street photos in FASHION_REAL_DATA")
def test_read_street__the_real_photos(tmp_path):
    street = source("street", Path(os.environ["FASHION_REAL_DATA"]) / "street")
    dataset = build_detection_dataset([street], tmp_path / "dataset", validation_share=0.2)
    assert dataset["images"]["train"] + dataset["images"]["validation"] == 778  # of 804, some twice
    assert all(set(boxes) == set(CATEGORIES) for boxes in dataset["boxes"].values())


@pytest.mark.parametrize("name", ["modanet", "fashionpedia", "deepfashion2", "k-fashion", "street"])
def test_source__not_in_its_layout(tmp_path, name):
    with pytest.raises(DataError, match=str(tmp_path)):
        list(source(name, tmp_path).maker.read(tmp_path))


def test_source__unknown():
    with pytest.raises(DataError, match="no source 'imagenet'; there are modanet"):
        source("imagenet", None)


def fashionpedia_part(folder, part, pictures, numbers):
    """A split as Fashionpedia publishes it: instance masks, attributes, and regions that stand for many."""
    (folder / pictures).mkdir(parents=True)
    names = ["shirt, blouse", "jacket", "pants", "dress", "bag, wallet", "shoe", "hat", "collar"]
    ours = dict(zip(("top", "outer", "bottom", "dress", "bag", "shoes", "hat"), range(7), strict=True))
    images, annotations = [], []
    for number in numbers:
        image, truth = toys.person(number)
        image.save(folder / pictures / f"{number:08x}.jpg")
        size = {"width": image.width, "height": image.height}
        images.append({"id": number, **size, "file_name": f"{number:08x}.jpg", "license": 1, "isstatic": 0})
        rest = ("collar", (1.0, 1.0, 9.0, 9.0))
        for name, (x0, y0, x1, y1) in [*truth, rest]:
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": ours.get(name, 7),
                    "attribute_ids": [115, 295],
                    "segmentation": [[x0, y0, x1, y0, x1, y1]],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                }
            )
        mask = {"counts": [5, 4], "size": [image.height, image.width]}
        crowd = {**annotations[-1], "id": len(annotations), "category_id": 5, "iscrowd": 1, "segmentation": mask}
        annotations.append(crowd)
    categories = [
        {"id": at, "name": name, "supercategory": "", "level": 2, "taxonomy_id": ""} for at, name in enumerate(names)
    ]
    attributes = [{"id": 115, "name": "symmetrical", "supercategory": "", "level": 1, "taxonomy_id": ""}]
    data = {"images": images, "annotations": annotations, "categories": categories, "attributes": attributes}
    (folder / f"instances_attributes_{part}2020.json").write_text(json.dumps({"info": {"year": 2020}, **data}))


def test_fashionpedia__both_parts_as_published(tmp_path):
    fashionpedia_part(tmp_path, "train", "train", range(20))
    fashionpedia_part(tmp_path, "val", "test", range(20, 25))
    (tmp_path / "info_test2020.json").write_text('{"images": [{"id": 9, "file_name": "x.jpg"}]}')  # not annotated
    found = list(MAKERS["fashionpedia"].read(tmp_path))
    assert [item.picture.as_posix() for item in found[-5:]] == [f"test/{number:08x}.jpg" for number in range(20, 25)]
    assert len(found) == 25
    summary = build_detection_dataset([source("fashionpedia", tmp_path)], tmp_path / "out", validation_share=0.3)
    assert summary["dropped"] == {"box_other_class": 50}  # a collar and a crowd in each
    assert sum(summary["images"].values()) == 25


def test_read_coco__ids_that_cannot_be_ids(tmp_path):
    data = {
        "images": [{"id": [1], "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [{"image_id": {"a": 1}, "category_id": [3], "bbox": [0, 0, 5, 5]}, {"image_id": 2}],
        "categories": [{"id": ["x"], "name": "hat"}],
    }
    (tmp_path / "any.json").write_text(json.dumps(data))
    malformed, fine = MAKERS["modanet"].read(tmp_path)
    assert malformed.fault == "annotation_malformed"
    assert fine.boxes == ((None, None),)


@pytest.mark.parametrize("maker", MAKERS.values())
def test_makers__map_to_our_classes(maker):
    assert set(maker.classes.values()) <= set(CLASSES)
    assert maker.licence


def test_configured__classes_and_terms_from_the_file(tmp_path):
    names = {"top": "blouse", "hat": "cap"}
    folder = toys.coco_folder(tmp_path / "sets" / "mine", 40, names)
    said = {"name": "mine", "licence": "CC0", "commercial": True}
    classes = {"blouse": "top", "cap": "hat", **{name: name for name in CLASSES[:7] if name not in names}}
    (folder / "source.json").write_text(json.dumps({**said, "categories": classes}))
    (mine,) = configured(tmp_path / "sets")
    summary = build_detection_dataset([mine], tmp_path / "out", validation_share=0.2, allow_non_commercial=False)
    assert summary["sources"] == {"mine": {"licence": "CC0", "commercial": True, "images": 40}}
    assert summary["dropped"] == {}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{}", "name: Field required"),
        ('{"name": "a b", "licence": "x", "categories": {"a": "top"}}', "name: String should match"),
        ('{"name": "a", "licence": "x", "categories": {"a": "trousers"}}', "must map to bag, .*, got trousers"),
        ("[", "Invalid JSON"),
    ],
)
def test_configured__wrong_file(tmp_path, said, message):
    (tmp_path / "source.json").write_text(said)
    with pytest.raises(DataError, match=message):
        configured(tmp_path)


def test_configured__no_file(tmp_path):
    with pytest.raises(DataError, match=r"holds no source\.json"):
        configured(tmp_path)


def test_build_detection_dataset__deepfashion2_and_k_fashion(tmp_path):
    """Neither has shoes, bags or hats: those come from a third source."""
    rest = toys.coco_folder(tmp_path / "rest", 30)
    for number in range(30, 60):
        image, truth = toys.person(number)
        if number % 2:
            deepfashion2_file(tmp_path / "d" / "train", number, truth)
            image.save(tmp_path / "d" / "train" / "image" / f"{number:06d}.jpg")
        else:
            k_fashion_file(tmp_path / "k", number, truth)
            image.save(tmp_path / "k" / "원천데이터" / "로맨틱" / f"{number}.jpg")
    (tmp_path / "k" / "원천데이터" / "로맨틱" / "30.jpg").unlink()
    sources = [source("deepfashion2", tmp_path / "d"), source("k-fashion", tmp_path / "k"), source("modanet", rest)]
    rest.joinpath("annotations.json").write_text(
        rest.joinpath("annotations.json").read_text().replace('"hat"', '"headwear"').replace('"shoes"', '"boots"')
    )
    summary = build_detection_dataset(sources, tmp_path / "out", validation_share=0.2)
    assert all(part["images"] for part in summary["sources"].values())
    alike = summary["dropped"]["image_near_duplicate"]  # toy people are few kinds
    assert sum(part["images"] for part in summary["sources"].values()) + alike == 59
    assert summary["dropped"]["image_missing"] == 1
    assert not any(part["commercial"] for part in summary["sources"].values())


def test_source__examples_of_the_documents(tmp_path):
    street, described = blocks((ROOT / "docs" / "PHOTOS.md").read_text(), "json")
    (tmp_path / "boxes_coco.json").write_text(street)
    (tmp_path / "source.json").write_text(described)
    known = source("street", tmp_path)
    (photo,) = known.maker.read(tmp_path)
    assert (str(photo.picture), photo.boxes) == ("photos/0001.jpg", (("top", [163, 140, 228, 221]),))
    (own,) = configured(tmp_path)
    assert (own.name, own.maker.commercial, own.maker.classes["parka"]) == ("our-studio", False, "outer")
