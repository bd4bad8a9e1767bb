"""Detection data of several makers → one dataset of seven classes in COCO style.

Sources keep their licence, so that a set without non-commercial parts can be built. Every picture and box that is
left out is counted by reason. The split is by picture (near-identical pictures together), before any augmentation.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from curation.errors import ImageError
from curation.images import decode
from curation.tables import file_fingerprint, fingerprint, write_json
from curation.taxonomy import CATEGORIES, Category
from models.errors import DataError

DATASET_FILE: Final = "dataset.json"
_MIN_SIDE: Final = 2.0  # px; a thinner box carries nothing a detector could learn
_MIN_INSIDE: Final = 0.5  # share of a box that must lie in its picture
_MAX_SHOES: Final = 2  # more shoes in one picture are several people or a shelf

MODANET: Final[Mapping[str, Category]] = {
    "bag": "bag",
    "boots": "shoes",
    "footwear": "shoes",
    "outer": "outer",
    "dress": "dress",
    "pants": "bottom",
    "shorts": "bottom",
    "skirt": "bottom",
    "top": "top",
    "headwear": "hat",
}
FASHIONPEDIA: Final[Mapping[str, Category]] = {
    "skirt": "bottom",
    "pants": "bottom",
    "shorts": "bottom",
    "tights, stockings": "bottom",
    "top, t-shirt, sweatshirt": "top",
    "sweater": "top",
    "shirt, blouse": "top",
    "cape": "outer",
    "coat": "outer",
    "cardigan": "outer",
    "jacket": "outer",
    "vest": "outer",
    "shoe": "shoes",
    "dress": "dress",
    "bag, wallet": "bag",
    "hat": "hat",
}
SEVEN: Final[Mapping[str, Category]] = {name: name for name in CATEGORIES}


@dataclass(frozen=True)
class Source:
    """One annotated set in COCO's JSON layout."""

    name: str  # letters, digits and dashes: it becomes part of file names
    annotations: Path
    images: Path  # folder that the annotations' `file_name` is relative to
    classes: Mapping[str, Category]  # the maker's category names → ours; the others are dropped
    licence: str
    commercial: bool  # may the trained model be used commercially?


def modanet(folder: Path) -> Source:
    """ModaNet's instances file. Its annotations are CC BY-NC 4.0."""
    return Source("modanet", _only_json(folder), folder / "images", MODANET, "CC BY-NC 4.0", commercial=False)


def fashionpedia(folder: Path) -> Source:
    """Fashionpedia's instances file; its 46 categories, of which 16 are kept. Annotations are CC BY 4.0."""
    return Source("fashionpedia", _only_json(folder), folder / "images", FASHIONPEDIA, "CC BY 4.0", commercial=True)


def coco(name: str, annotations: Path, images: Path, licence: str, *, commercial: bool) -> Source:
    """Any COCO file whose categories are named as ours."""
    return Source(name, annotations, images, SEVEN, licence, commercial)


def build_detection_dataset(
    sources: Sequence[Source],
    out: Path,
    *,
    validation_share: float = 0.1,
    allow_non_commercial: bool = True,
) -> dict[str, Any]:
    """Write `images/`, `annotations_train.json`, `annotations_validation.json` and `dataset.json` into `out`.

    Pictures are hard-linked where the file system allows, else copied. Category ids are positions in `CATEGORIES`,
    boxes are xywh in px, as COCO has them.

    Returns:
        What `dataset.json` holds: fingerprint, rows and licence per source, counts per split, class and reason.

    Raises:
        DataError: an annotation file is no COCO file, or a split or a class ends up empty.
    """
    used = [source for source in sources if source.commercial or allow_non_commercial]
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "images").mkdir(parents=True)
    dropped: Counter[str] = Counter()
    seen: set[str] = set()
    rows = [row for source in used for row in _read(source, temporary / "images", dropped, seen)]
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "validation": []}
    for row in rows:
        splits["validation" if _draw(row["phash"]) < validation_share else "train"].append(row)
    summary = _summary(used, splits, dropped)
    for split, chosen in splits.items():
        write_json(temporary / f"annotations_{split}.json", _to_coco(chosen))
    write_json(temporary / DATASET_FILE, summary)
    shutil.rmtree(out, ignore_errors=True)
    temporary.rename(out)
    return summary


def _read(source: Source, folder: Path, dropped: Counter[str], seen: set[str]) -> list[dict[str, Any]]:
    data = _load(source.annotations)
    names = {item["id"]: item["name"] for item in data["categories"]}
    by_image: dict[int, list[dict[str, Any]]] = {}
    for annotation in data["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    rows = []
    for image in data["images"]:
        row, reason = _row(source, image, by_image.get(image["id"], []), names, dropped)
        if row is None or row["sha256"] in seen:
            dropped[reason or "image_duplicate"] += 1
            continue
        seen.add(row["sha256"])
        target = folder / row["file_name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(source.images / image["file_name"], target)
        rows.append(row)
    return rows


def _row(
    source: Source,
    image: Mapping[str, Any],
    annotations: Sequence[Mapping[str, Any]],
    names: Mapping[int, str],
    dropped: Counter[str],
) -> tuple[dict[str, Any] | None, str]:
    path = source.images / image["file_name"]
    if not path.is_file():
        return None, "image_missing"
    data = path.read_bytes()
    try:
        picture = decode(data)
    except ImageError as error:
        return None, f"image_{error.reason}"
    if (picture.width, picture.height) != (image["width"], image["height"]):
        return None, "image_size_differs"
    boxes = []
    for annotation in annotations:
        box, reason = _box(annotation, names, source.classes, picture.width, picture.height)
        if box is None:
            dropped[f"box_{reason}"] += 1
        else:
            boxes.append(box)
    if sum(box["category"] == "shoes" for box in boxes) > _MAX_SHOES:
        return None, "image_many_shoes"
    if not boxes:
        return None, "image_without_boxes"
    import imagehash

    row = {
        "file_name": f"{source.name}/{Path(image['file_name']).name}",
        "width": picture.width,
        "height": picture.height,
        "source": source.name,
        "licence": source.licence,
        "sha256": hashlib.sha256(data).hexdigest(),
        "phash": str(imagehash.phash(picture)),
        "boxes": boxes,
    }
    return row, ""


def _box(
    annotation: Mapping[str, Any],
    names: Mapping[int, str],
    classes: Mapping[str, Category],
    width: int,
    height: int,
) -> tuple[dict[str, Any] | None, str]:
    category = classes.get(names.get(annotation["category_id"], ""))
    if category is None:
        return None, "other_class"
    numbers = annotation.get("bbox") or []
    if len(numbers) != 4 or not all(isinstance(n, int | float) and abs(n) < 1e6 for n in numbers):
        return None, "malformed"
    x, y, w, h = map(float, numbers)
    if w < _MIN_SIDE or h < _MIN_SIDE:
        return None, "too_thin"
    x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height))
    if x1 - x0 < _MIN_SIDE or y1 - y0 < _MIN_SIDE or (x1 - x0) * (y1 - y0) < _MIN_INSIDE * w * h:
        return None, "outside_image"
    return {"category": category, "bbox": [x0, y0, x1 - x0, y1 - y0]}, ""


def _to_coco(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, row in enumerate(rows):
        images.append({"id": image_id, **{key: row[key] for key in row if key != "boxes"}})
        for box in row["boxes"]:
            _, _, w, h = box["bbox"]
            annotations.append(
                {
                    "id": len(annotations) + 1,  # COCO's tools treat id 0 as no match
                    "image_id": image_id,
                    "category_id": CATEGORIES.index(box["category"]),
                    "bbox": box["bbox"],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(CATEGORIES)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _summary(
    sources: Sequence[Source], splits: Mapping[str, Sequence[Mapping[str, Any]]], dropped: Counter[str]
) -> dict[str, Any]:
    rows = [row for chosen in splits.values() for row in chosen]
    for split, chosen in splits.items():
        if not chosen:
            raise DataError(f"detection dataset: split {split} has no picture (dropped: {dict(dropped)})")
    classes = {
        split: dict(Counter(box["category"] for row in chosen for box in row["boxes"]))
        for split, chosen in splits.items()
    }
    empty = [name for name in CATEGORIES if not classes["train"].get(name)]
    if empty:
        raise DataError(f"detection dataset: no training box of {', '.join(empty)} (dropped: {dict(dropped)})")
    return {
        "fingerprint": fingerprint([[row["sha256"], row["boxes"]] for row in rows]),
        "sources": {
            source.name: {
                "licence": source.licence,
                "commercial": source.commercial,
                "images": sum(row["source"] == source.name for row in rows),
                "annotations_digest": file_fingerprint(source.annotations),
            }
            for source in sources
        },
        "images": {split: len(chosen) for split, chosen in splits.items()},
        "boxes": classes,
        "dropped": dict(dropped),
    }


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is no readable JSON file: {error}") from error
    missing = [key for key in ("images", "annotations", "categories") if key not in data]
    if missing:
        raise DataError(f"{path} is no COCO file: it lacks {', '.join(missing)}")
    return dict(data)


def _only_json(folder: Path) -> Path:
    files = sorted(folder.glob("*.json"))
    if len(files) != 1:
        raise DataError(f"{folder} must hold one annotation file *.json, it holds {len(files)}")
    return files[0]


def _draw(key: str) -> float:
    """A number in [0, 1) that depends on the key alone: the split survives new data."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest()) / 2**48


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
