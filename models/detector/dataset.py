"""Detection data of several makers → one dataset in COCO style, of seven classes or twelve.

Sources keep their licence, so that a set without non-commercial parts can be built. Every picture and box that is
left out is counted by reason. A picture that an earlier source has too is dropped; near-identical pictures of one
source go to one split, and stay there whenever the dataset is built anew. The split comes before any augmentation.
"""

import hashlib
import json
import math
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from curation.duplicates import PHOTO_RULE, candidates, confirmed
from curation.errors import ImageError
from curation.groups import Groups
from curation.hashing import as_layouts, describe
from curation.images import decode
from curation.tables import fingerprint, write_json
from curation.taxonomy import CATEGORIES
from models.detector.readers import Annotated
from models.detector.sources import Source
from models.errors import DataError
from models.labelled import place_of

DATASET_FILE: Final = "dataset.json"
VERSION: Final = "2"
"""Raise it whenever the same sources would give another dataset."""
_SPLITS: Final = ("train", "validation")
_MIN_SIDE: Final = 2.0  # px; a thinner box carries nothing a detector could learn
_MIN_INSIDE: Final = 0.5  # share of a box that must lie in its picture
_MAX_SHOES: Final = 2  # more shoes in one picture are several people or a shelf
_MOST_PX: Final = 1e6  # a coordinate beyond it is a slip
_HASHES: Final = ("phash", "dhash", "colour", "blank")
_THREADS: Final = 2  # that decode and hash: Pillow works outside of the interpreter lock

Row = dict[str, Any]


def build_detection_dataset(
    sources: Sequence[Source],
    out: Path,
    *,
    validation_share: float = 0.1,
    allow_non_commercial: bool = True,
    classes: Sequence[str] = CATEGORIES,
) -> dict[str, Any]:
    """Write `images/`, `annotations_train.json`, `annotations_validation.json` and `dataset.json` into `out`.

    Pictures are hard-linked where the file system allows, else copied. Category ids are positions in `classes`,
    boxes are xywh in px, as COCO has them.

    Args:
        sources: of a picture that several have, the first one's is kept.
        out: made, or replaced when all is done. A picture that is in it stays in its split.
        validation_share: of the groups of near-identical pictures that are new.
        allow_non_commercial: False leaves out sources whose terms forbid commercial use.
        classes: `CATEGORIES`, or the twelve of `models.detector.categories`.

    Returns:
        What `dataset.json` holds: fingerprint, rows and licence per source, counts per split, class and reason. A
        class without boxes is there with 0.

    Raises:
        DataError: a source is not in its layout, two have one name, or a split ends up empty.
    """
    used = [source for source in sources if source.maker.commercial or allow_non_commercial]
    names = Counter(source.name for source in used)
    if twice := [name for name, count in names.items() if count > 1]:
        raise DataError(f"two sources are called {' and '.join(twice)}: give each its own name")
    dropped: Counter[str] = Counter()
    rows = _without_duplicates(_read(used, classes, dropped), dropped)
    replaced = out.with_name(f".{out.name}.old")
    before = _splits_in(out) or _splits_in(replaced)
    splits: dict[str, list[Row]] = {split: [] for split in _SPLITS}
    for row in rows:
        splits[_split_of(row["group"], before, validation_share)].append(row)
    summary = _summary(used, splits, dropped, classes)
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    for row in rows:
        _link(row["path"], temporary / "images" / row["file_name"])
    for split, chosen in splits.items():
        write_json(temporary / f"annotations_{split}.json", _to_coco(chosen, classes))
    write_json(temporary / DATASET_FILE, summary)
    if out.exists():  # else a kill came between the two renames
        shutil.rmtree(replaced, ignore_errors=True)
        out.rename(replaced)  # removing it takes long, and a kill meanwhile would lose the splits
    temporary.rename(out)
    shutil.rmtree(replaced, ignore_errors=True)
    return summary


def _read(sources: Sequence[Source], classes: Sequence[str], dropped: Counter[str]) -> list[Row]:
    rows = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for source in sources:
            for row, reasons in pool.map(partial(_row, source, frozenset(classes)), source.maker.read(source.folder)):
                dropped.update(reasons)
                if row:
                    rows.append(row)
    return rows


def _row(source: Source, classes: frozenset[str], item: Annotated) -> tuple[Row | None, Counter[str]]:
    """A picture with its sound boxes, or none, and the reasons of what was left out."""
    path = source.folder / item.picture
    if item.fault:
        return None, Counter([item.fault])
    if not path.resolve().is_relative_to(source.folder.resolve()):
        return None, Counter(["image_outside_folder"])
    if not path.is_file():
        return None, Counter(["image_missing"])
    data = path.read_bytes()
    try:
        picture = decode(data)
    except ImageError as error:
        return None, Counter([f"image_{error.reason}"])
    if item.size is not None and item.size != picture.size:
        return None, Counter(["image_size_differs"])
    reasons: Counter[str] = Counter()
    boxes = []
    for name, numbers in item.boxes:
        category = source.maker.classes.get(name) if isinstance(name, str) else None
        box, reason = _box(numbers, *picture.size) if category in classes else (None, "other_class")
        if box is None:
            reasons[f"box_{reason}"] += 1
        else:
            boxes.append({"category": category, "bbox": box})
    if not boxes or sum(box["category"] == "shoes" for box in boxes) > _MAX_SHOES:
        return None, reasons + Counter(["image_many_shoes" if boxes else "image_without_boxes"])
    known = describe(picture)
    row = {
        "file_name": f"{source.name}/{item.picture.as_posix()}",
        "width": picture.width,
        "height": picture.height,
        "source": source.name,
        "licence": source.maker.licence,
        "sha256": hashlib.sha256(data).hexdigest(),
        "boxes": boxes,
        "path": path,
    }
    return row | {key: known[key] for key in _HASHES}, reasons


def _box(numbers: Any, width: int, height: int) -> tuple[list[float] | None, str]:
    """A box within its picture, xywh, or why there is none."""
    if not isinstance(numbers, list | tuple) or len(numbers) != 4 or not all(map(_sound, numbers)):
        return None, "malformed"
    x, y, w, h = map(float, numbers)
    if w < _MIN_SIDE or h < _MIN_SIDE:
        return None, "too_thin"
    x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height))
    if x1 - x0 < _MIN_SIDE or y1 - y0 < _MIN_SIDE or (x1 - x0) * (y1 - y0) < _MIN_INSIDE * w * h:
        return None, "outside_image"
    return [x0, y0, x1 - x0, y1 - y0], ""


def _sound(number: Any) -> bool:
    plain = isinstance(number, int | float) and not isinstance(number, bool)
    return plain and math.isfinite(number) and abs(number) < _MOST_PX


def _without_duplicates(rows: list[Row], dropped: Counter[str]) -> list[Row]:
    """Rows without pictures that came before; `group` is all pictures that a row's is like, dropped ones too."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["sha256"], row)
    dropped.update(["image_duplicate"] * (len(rows) - len(first)))
    rows = list(first.values())
    kept, groups = [True] * len(rows), Groups[int]()
    for i, j in sorted(_near(rows), key=lambda pair: pair[::-1]):
        groups.union(i, j)
        if rows[i]["source"] != rows[j]["source"] and kept[i]:
            kept[j] = False
    dropped.update(["image_near_duplicate"] * kept.count(False))
    together: defaultdict[int, list[Row]] = defaultdict(list)
    for index, row in enumerate(rows):
        together[groups.find(index)].append(row)
        row["group"] = together[groups.find(index)]
    return [row for row, keep in zip(rows, kept, strict=True) if keep]


def _near(rows: Sequence[Row]) -> set[tuple[int, int]]:
    """Pairs of rows, the first one first, that `curation` calls one photo."""
    usable = np.array([index for index, row in enumerate(rows) if not row["blank"]], np.int64)
    phash, dhash = (np.array([row[key] for row in rows], np.uint64) for key in ("phash", "dhash"))
    layouts = as_layouts([row["colour"] for row in rows])
    found: set[tuple[int, int]] = set()
    for i, j in candidates(PHOTO_RULE, phash, dhash, usable, usable[:0]):
        same = confirmed(PHOTO_RULE, i, j, phash, dhash, layouts)
        found.update(zip(np.minimum(same.i, same.j).tolist(), np.maximum(same.i, same.j).tolist(), strict=True))
    return found


def _to_coco(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, Any]:
    private = {"boxes", "path", "group", *_HASHES}
    annotations: list[dict[str, Any]] = []
    for image_id, row in enumerate(rows):
        for box in row["boxes"]:
            annotations.append(
                {
                    "id": len(annotations) + 1,  # COCO's tools treat id 0 as no match
                    "image_id": image_id,
                    "category_id": classes.index(box["category"]),
                    "bbox": box["bbox"],
                    "area": box["bbox"][2] * box["bbox"][3],
                    "iscrowd": 0,
                }
            )
    images = [
        {"id": image_id, **{key: row[key] for key in row if key not in private}, "phash": f"{row['phash']:016x}"}
        for image_id, row in enumerate(rows)
    ]
    categories = [{"id": index, "name": name} for index, name in enumerate(classes)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _summary(
    sources: Sequence[Source], splits: Mapping[str, Sequence[Row]], dropped: Counter[str], classes: Sequence[str]
) -> dict[str, Any]:
    rows = [row for chosen in splits.values() for row in chosen]
    for split, chosen in splits.items():
        if not chosen:
            raise DataError(f"detection dataset: split {split} has no picture (dropped: {dict(dropped)})")
    counts = {
        split: Counter(box["category"] for row in chosen for box in row["boxes"]) for split, chosen in splits.items()
    }
    return {
        "fingerprint": fingerprint(
            [[row["sha256"], row["boxes"], split] for split, chosen in splits.items() for row in chosen]
        ),
        "sources": {
            source.name: {
                "licence": source.maker.licence,
                "commercial": source.maker.commercial,
                "images": sum(row["source"] == source.name for row in rows),
            }
            for source in sources
        },
        "images": {split: len(chosen) for split, chosen in splits.items()},
        "boxes": {split: {name: of[name] for name in classes} for split, of in counts.items()},
        "dropped": dict(dropped),
    }


def _splits_in(out: Path) -> dict[str, str]:
    """The split of each picture of a dataset, by sha256; of none where there is no dataset yet."""
    files = [(split, out / f"annotations_{split}.json") for split in _SPLITS]
    return {
        image["sha256"]: split
        for split, path in files
        if path.is_file()
        for image in json.loads(path.read_text())["images"]
    }


def _split_of(group: Sequence[Row], before: Mapping[str, str], validation_share: float) -> str:
    """Where one of these like pictures was, or by lot. Where they were in both: what was learned from stays there."""
    known = {before[row["sha256"]] for row in group if row["sha256"] in before}
    if known:
        return min(known)
    place = place_of(f"{min(row['phash'] for row in group):016x}")
    return "validation" if place < validation_share else "train"


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
