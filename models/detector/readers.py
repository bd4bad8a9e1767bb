"""Readers of annotated pictures, one per layout of files: what a maker wrote, with nothing checked but the layout.

A picture whose annotation cannot be read is told too, with the reason: the dataset's builder counts it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.errors import DataError

_PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp")
# Annotation files as published → folder of their pictures.
_MODANET: Final = {"modanet2018_instances_train*.json": "images", "modanet2018_instances_val*.json": "images"}
_FASHIONPEDIA: Final = {"instances_attributes_train*.json": "train", "instances_attributes_val*.json": "test"}
_K_FASHION_RECT: Final = ("X좌표", "Y좌표", "가로", "세로")  # left, top, width, height, px


@dataclass(frozen=True)
class Annotated:
    """One picture with its boxes as the maker has them."""

    picture: Path  # relative to the source's folder
    boxes: tuple[tuple[Any, Any], ...] = ()  # the maker's class name; xywh in px, or what stood in its place
    size: tuple[Any, Any] | None = None  # (width, height) in px that the maker names
    fault: str = ""  # why the annotation cannot be read


def read_coco(folder: Path, annotations: str = "", images: str = "images") -> Iterator[Annotated]:
    """A COCO instances file, by default the only *.json of the folder, whose `file_name` is relative to `images`.

    Regions that stand for a crowd (`iscrowd`) come as the class `crowd`, which no map knows.

    Raises:
        DataError: there is no such file, or it is no COCO file.
    """
    path = folder / annotations if annotations else _only_json(folder)
    data = _load(path)
    missing = [key for key in ("images", "annotations", "categories") if not isinstance(data.get(key), list)]
    if missing:
        raise DataError(f"{path} is no COCO file: it lacks {', '.join(missing)}")
    names = {_id(item, "id"): item.get("name") for item in _objects(data["categories"])}
    names.pop(None, None)
    boxes = defaultdict(list)
    for item in _objects(data["annotations"]):
        name = "crowd" if item.get("iscrowd") else names.get(_id(item, "category_id"))
        boxes[_id(item, "image_id")].append((name, item.get("bbox")))
    for item in _objects(data["images"]):
        number = _id(item, "id")
        found = tuple(boxes.pop(number, ()))
        if number is None or not isinstance(item.get("file_name"), str):
            yield Annotated(Path(str(item.get("id"))), fault="annotation_malformed")
            continue
        size = (item["width"], item["height"]) if "width" in item and "height" in item else None
        yield Annotated(Path(images, item["file_name"]), found, size)
    for image_id in boxes:
        yield Annotated(Path(str(image_id)), fault="annotation_without_image")


def read_modanet(folder: Path) -> Iterator[Annotated]:
    """ModaNet as published, `annotations/modanet2018_instances_train.json` and `…_val.json`; its photos in `images/`.

    Raises:
        DataError: as `read_coco` does.
    """
    yield from _read_published(folder, _MODANET)


def read_fashionpedia(folder: Path) -> Iterator[Annotated]:
    """Fashionpedia as published: `instances_attributes_train2020.json` with `train/`, `…_val2020.json` with `test/`.

    Raises:
        DataError: as `read_coco` does.
    """
    yield from _read_published(folder, _FASHIONPEDIA)


def _read_published(folder: Path, parts: Mapping[str, str]) -> Iterator[Annotated]:
    """COCO files by their names, wherever below the folder; one without any of them is read as any COCO set."""
    found = [(path, images) for pattern, images in parts.items() for path in sorted(folder.rglob(pattern))]
    for path, images in found:
        yield from read_coco(folder, str(path.relative_to(folder)), images)
    if not found:
        yield from read_coco(folder)


def read_deepfashion2(folder: Path) -> Iterator[Annotated]:
    """DeepFashion2: `annos/000001.json` beside `image/000001.jpg`, below `train`, `validation` or the folder itself.

    An annotation holds `item1` … `itemN` with `category_name` and `bounding_box` (x1, y1, x2, y2), and what is not
    needed here: landmarks, masks, `pair_id`.

    Raises:
        DataError: there is no such folder.
    """
    parts = [part for part in ("train", "validation", ".") if (folder / part / "annos").is_dir()]
    if not parts:
        raise DataError(f"{folder} has no folder annos, nor train/annos or validation/annos")
    for part in parts:
        for path in sorted((folder / part / "annos").glob("*.json")):
            picture = Path(part, "image", f"{path.stem}.jpg")
            data = _loaded(path)
            if data is None:
                yield Annotated(picture, fault="annotation_malformed")
                continue
            items = [item for key, item in sorted(data.items()) if key.startswith("item") and isinstance(item, dict)]
            yield Annotated(
                picture, tuple((i.get("category_name"), _from_corners(i.get("bounding_box"))) for i in items)
            )


def read_k_fashion(folder: Path) -> Iterator[Annotated]:
    """K-Fashion of AI-Hub: a JSON file per picture, named by the picture's number, both anywhere below the folder.

    Boxes stand in 데이터셋 정보 / 데이터셋 상세설명 / 렉트좌표 under 상의, 하의, 원피스 and 아우터, an
    empty object where there is no such garment. A 원피스 whose label in 라벨링 is 점프수트 comes as the class
    점프수트. A picture is found by the number in 이미지 식별자, else by the name in 이미지 파일명.

    Raises:
        DataError: there is no JSON file.
    """
    labels = sorted(folder.rglob("*.json"))
    if not labels:
        raise DataError(f"{folder} holds no file *.json")
    pictures = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _PICTURES]
    by_name = {path.name: path for path in pictures} | {path.stem: path for path in pictures}
    for path in labels:
        data = _loaded(path)
        image, details = _at(data, "이미지 정보"), _at(data, "데이터셋 정보", "데이터셋 상세설명")
        rects = details.get("렉트좌표")
        if not isinstance(rects, dict):
            yield Annotated(path.relative_to(folder), fault="annotation_malformed")
            continue
        found = by_name.get(str(image.get("이미지 식별자", path.stem))) or by_name.get(str(image.get("이미지 파일명")))
        boxes = tuple(_k_fashion_boxes(rects, _at(details, "라벨링")))
        size = (image.get("이미지 너비"), image.get("이미지 높이"))
        picture = found.relative_to(folder) if found else path.relative_to(folder).with_suffix(".jpg")
        yield Annotated(picture, boxes, size if None not in size else None)


def _k_fashion_boxes(rects: Mapping[str, Any], labels: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for slot, found in rects.items():
        named = labels.get(slot) if isinstance(labels.get(slot), list) else []
        for index, rect in enumerate(found if isinstance(found, list) else [found]):
            if rect == {}:
                continue  # no such garment
            label = named[index] if named and index < len(named) else {}
            jumpsuit = isinstance(label, dict) and label.get("카테고리") == "점프수트"
            box = [rect.get(key) for key in _K_FASHION_RECT] if isinstance(rect, dict) else rect
            yield "점프수트" if jumpsuit else slot, box


def _from_corners(box: Any) -> Any:
    """Xyxy → xywh; what is no box of numbers is left as it is, to be counted as malformed."""
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(n, int | float) for n in box):
        return box if isinstance(box, list) and len(box) != 4 else None
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _at(data: Any, *keys: str) -> dict[str, Any]:
    """The object at a path of keys; empty where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _id(item: Mapping[str, Any], key: str) -> int | str | None:
    """An id, or None for what cannot be one."""
    value = item.get(key)
    return value if isinstance(value, int | str) else None


def _objects(items: list[Any]) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)]


def _loaded(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None: one broken file among hundreds of thousands is a row in the count, no more."""
    try:
        return _load(path)
    except DataError:
        return None


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:  # ValueError: no JSON, or no UTF-8
        raise DataError(f"{path} is no readable JSON file: {error}") from error
    if not isinstance(data, dict):
        raise DataError(f"{path} holds {type(data).__name__}, not an object")
    return data


def _only_json(folder: Path) -> Path:
    files = sorted(folder.glob("*.json"))
    if len(files) != 1:
        raise DataError(f"{folder} must hold one annotation file *.json, it holds {len(files)}")
    return files[0]
