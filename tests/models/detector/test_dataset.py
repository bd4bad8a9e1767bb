"""Detection data of several makers becomes one dataset."""

import json
import pathlib
import shutil

import pytest
from PIL import ImageOps

from curation.images import decode
from curation.taxonomy import CATEGORIES
from models.detector.categories import CLASSES
from models.detector.dataset import build_detection_dataset
from models.detector.sources import source
from models.errors import DataError
from tests.models import toys

TO_MODANET = {"bottom": "pants", "hat": "headwear", "shoes": "boots"}
TO_FASHIONPEDIA = {
    "bottom": "tights, stockings",
    "top": "shirt, blouse",
    "outer": "cape",
    "shoes": "shoe",
    "bag": "bag, wallet",
}


def read(out, split):
    return json.loads((out / f"annotations_{split}.json").read_text())


def own(folder, commercial=True):
    return toys.coco_source(folder, "own", commercial=commercial)


def edit(folder, change):
    data = json.loads((folder / "annotations.json").read_text())
    change(data)
    (folder / "annotations.json").write_text(json.dumps(data))


def test_build_detection_dataset__several_sources(tmp_path):
    first = toys.coco_folder(tmp_path / "modanet", 60, TO_MODANET)
    second = toys.coco_folder(tmp_path / "fashionpedia", 60, TO_FASHIONPEDIA)
    for path in (second / "images").iterdir():  # other photos than the first source's
        ImageOps.invert(decode(path.read_bytes())).save(path)
    summary = build_detection_dataset(
        [source("modanet", first), source("fashionpedia", second)], tmp_path / "out", validation_share=0.2
    )
    assert sum(summary["images"].values()) == 120
    assert {name: part["licence"] for name, part in summary["sources"].items()} == {
        "modanet": "CC BY-NC 4.0",
        "fashionpedia": "CC BY 4.0",
    }
    assert summary["dropped"] == {}
    train = read(tmp_path / "out", "train")
    assert [(item["id"], item["name"]) for item in train["categories"]] == list(enumerate(CATEGORIES))
    image = train["images"][0]
    truth = dict(toys.person(int(image["file_name"][-8:-4]))[1])
    boxes = [item for item in train["annotations"] if item["image_id"] == image["id"]]
    assert {CATEGORIES[item["category_id"]] for item in boxes} == set(truth)
    x0, y0, x1, y1 = truth[CATEGORIES[boxes[0]["category_id"]]]
    assert boxes[0]["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0])
    assert (tmp_path / "out" / "images" / image["file_name"]).is_file()


def test_build_detection_dataset__without_non_commercial_sources(tmp_path):
    first = toys.coco_folder(tmp_path / "modanet", 30, TO_MODANET)
    second = toys.coco_folder(tmp_path / "own", 40)
    summary = build_detection_dataset(
        [source("modanet", first), own(second)], tmp_path / "out", validation_share=0.3, allow_non_commercial=False
    )
    assert list(summary["sources"]) == ["own"]
    assert not (tmp_path / "out" / "images" / "modanet").exists()


def test_build_detection_dataset__same_picture_twice(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40)
    copy = shutil.copytree(folder, tmp_path / "b")
    sources = [own(folder), toys.coco_source(copy, "copy")]
    summary = build_detection_dataset(sources, tmp_path / "out", validation_share=0.2)
    assert summary["dropped"] == {"image_duplicate": 40}


def test_build_detection_dataset__the_same_photo_of_another_source(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40)
    copy = shutil.copytree(folder, tmp_path / "b")
    for path in (copy / "images").iterdir():
        decode(path.read_bytes()).save(path, quality=75)  # as another set would have it
    sources = [own(folder), toys.coco_source(copy, "copy")]
    summary = build_detection_dataset(sources, tmp_path / "out", validation_share=0.2)
    assert summary["dropped"] == {"image_near_duplicate": 40}
    assert summary["sources"]["own"]["images"] == 40


def test_build_detection_dataset__near_identical_pictures_share_a_split(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40)
    for path in sorted((folder / "images").iterdir()):
        decode(path.read_bytes()).save(path.with_name(f"copy-{path.name}"), quality=75)

    def change(data):
        for image in data["images"][:40]:
            data["images"].append({**image, "id": 1000 + image["id"], "file_name": f"copy-{image['file_name']}"})
        copies = [
            {**item, "id": 9000 + item["id"], "image_id": 1000 + item["image_id"]} for item in data["annotations"]
        ]
        data["annotations"] += copies

    edit(folder, change)
    assert build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.3)["dropped"] == {}
    sides = [
        {image["file_name"][-8:] for image in read(tmp_path / "out", s)["images"]} for s in ("train", "validation")
    ]
    assert sides[1]
    assert not sides[0] & sides[1]


def test_build_detection_dataset__a_picture_keeps_its_split(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40)
    build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.3)
    before = {s: {image["file_name"] for image in read(tmp_path / "out", s)["images"]} for s in ("train", "validation")}
    first = toys.coco_folder(tmp_path / "b", 40)
    for path in (first / "images").iterdir():  # the same photos, told otherwise and read earlier
        decode(path.read_bytes()).save(path, quality=60)
    source_before = toys.coco_source(first, "first")
    summary = build_detection_dataset([source_before, own(folder)], tmp_path / "out", validation_share=0.9)
    assert summary["dropped"] == {"image_near_duplicate": 40}
    for split, names in before.items():
        after = {image["file_name"].replace("first/", "own/") for image in read(tmp_path / "out", split)["images"]}
        assert after == names


@pytest.mark.parametrize("step", ["rmtree", "rename"])
def test_build_detection_dataset__a_kill_while_it_is_replaced_moves_no_picture(tmp_path, monkeypatch, step):
    folder, out = toys.coco_folder(tmp_path / "a", 40), tmp_path / "out"
    build_detection_dataset([own(folder)], out, validation_share=0.3)
    before = read(out, "validation")["images"]

    def killed(path, *arguments, **options):
        if path == (out.with_name(".out.old") if step == "rmtree" else out.with_name(".out.tmp")) and path.exists():
            raise KeyboardInterrupt
        return original(path, *arguments, **options)

    where = shutil if step == "rmtree" else pathlib.Path
    original = getattr(where, step)
    monkeypatch.setattr(where, step, killed)
    with pytest.raises(KeyboardInterrupt):
        build_detection_dataset([own(folder)], out, validation_share=0.3)
    monkeypatch.undo()
    build_detection_dataset([own(folder)], out, validation_share=0.9)
    assert {image["file_name"] for image in read(out, "validation")["images"]} == {it["file_name"] for it in before}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out"]


def test_build_detection_dataset__the_split_is_part_of_the_fingerprint(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40)
    few, many = (build_detection_dataset([own(folder)], tmp_path / str(n), validation_share=n) for n in (0.2, 0.5))
    assert few["fingerprint"] != many["fingerprint"]


def test_build_detection_dataset__two_sources_of_one_name(tmp_path):
    folders = [toys.coco_folder(tmp_path / name, 5) for name in "ab"]
    pictures = {path: path.read_bytes() for path in (folders[0] / "images").iterdir()}
    with pytest.raises(DataError, match="two sources are called own"):
        build_detection_dataset([own(folder) for folder in folders], tmp_path / "out")
    assert all(path.read_bytes() == data for path, data in pictures.items())


@pytest.mark.parametrize(
    ("bbox", "reason"),
    [
        ([10, 10, 1, 50], "box_too_thin"),
        ([10, 10, -20, 50], "box_too_thin"),
        ([150, 10, 40, 40], "box_outside_image"),
        ([500, 10, 40, 40], "box_outside_image"),
        ([10, 10, 50], "box_malformed"),
        ([10, 10, None, 50], "box_malformed"),
        ([10, 10, float("nan"), 50], "box_malformed"),
        (None, "box_malformed"),
    ],
)
def test_build_detection_dataset__bad_boxes_are_counted(tmp_path, bbox, reason):
    folder = toys.coco_folder(tmp_path / "a", 40)
    edit(folder, lambda data: data["annotations"].append({"id": 9999, "image_id": 0, "category_id": 7, "bbox": bbox}))
    assert build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2)["dropped"] == {reason: 1}


def test_build_detection_dataset__box_over_the_edge_is_clipped(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40)
    edit(folder, lambda data: data["annotations"].append(
        {"id": 9999, "image_id": 0, "category_id": 1, "bbox": [-10, 150, 50, 80]}))  # fmt: skip
    build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2)
    boxes = [item["bbox"] for split in ("train", "validation") for item in read(tmp_path / "out", split)["annotations"]]
    assert [0, 150, 40, 50] in boxes


def test_build_detection_dataset__bad_pictures_are_counted(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 50)
    images = folder / "images"
    (images / "0000.jpg").unlink()
    (images / "0001.jpg").write_bytes(b"")
    (images / "0002.jpg").write_bytes((images / "0002.jpg").read_bytes()[:500])
    (images / "0003.jpg").write_bytes(b"<html>")

    def change(data):
        data["images"][4]["width"] = 999
        data["annotations"] = [item for item in data["annotations"] if item["image_id"] != 5]
        shoe = {"image_id": 6, "category_id": 6, "bbox": [10, 10, 20, 20]}
        data["annotations"] += [{**shoe, "id": 9000 + index} for index in range(3)]
        data["categories"].append({"id": 99, "name": "belt"})
        data["annotations"].append({"id": 9999, "image_id": 7, "category_id": 99, "bbox": [10, 10, 20, 20]})

    edit(folder, change)
    summary = build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2)
    assert summary["dropped"] == {
        "image_missing": 1,
        "image_empty": 1,
        "image_truncated": 1,
        "image_not_an_image": 1,
        "image_size_differs": 1,
        "image_without_boxes": 1,
        "image_many_shoes": 1,
        "box_other_class": 1,
    }
    assert sum(summary["images"].values()) == 43


def test_build_detection_dataset__empty_class_is_told(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40, {"hat": "umbrella"})
    boxes = build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2)["boxes"]
    assert [list(boxes[split]) for split in ("train", "validation")] == [list(CATEGORIES)] * 2
    assert [name for name, count in boxes["train"].items() if not count] == ["hat"]


def test_build_detection_dataset__empty_split(tmp_path):
    with pytest.raises(DataError, match="split validation"):
        build_detection_dataset([own(toys.coco_folder(tmp_path / "a", 5))], tmp_path / "out", validation_share=0.0)


@pytest.mark.parametrize("text", ["", "[]", '{"images": []}'])
def test_build_detection_dataset__no_coco_file(tmp_path, text):
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(DataError, match=r"annotations\.json"):
        build_detection_dataset([own(tmp_path)], tmp_path / "out")


def test_build_detection_dataset__fingerprint_follows_the_boxes(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40)
    first = build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2)["fingerprint"]
    assert build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2)["fingerprint"] == first
    edit(folder, lambda data: data["annotations"].pop())
    assert build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2)["fingerprint"] != first


def test_build_detection_dataset__twelve_classes(tmp_path):
    folder = toys.coco_folder(tmp_path / "a", 40)

    def change(data):
        data["categories"] += [{"id": 50 + index, "name": name} for index, name in enumerate(CLASSES[7:])]
        for index in range(30):
            data["annotations"].append(
                {"id": 9000 + index, "image_id": index, "category_id": 50 + index % 5, "bbox": [5, 5, 20, 20]}
            )

    edit(folder, change)
    build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2, classes=CLASSES)
    train = read(tmp_path / "out", "train")
    assert [item["name"] for item in train["categories"]] == list(CLASSES)
    assert {item["category_id"] for item in train["annotations"]} == set(range(12))
    seven = build_detection_dataset([own(folder)], tmp_path / "out", validation_share=0.2)
    assert seven["dropped"] == {"box_other_class": 30}
