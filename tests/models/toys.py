"""Drawn toy data: every class has its own shape and every product its own colours, so that tiny models can learn it."""

import datetime
import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from curation.images import encode_jpeg
from curation.schemas import CATALOG, PAIRS, POSTS
from curation.tables import ShardedTable, rows_to_batch, write_shard
from curation.taxonomy import CATEGORIES, LABELS
from models.detector.categories import SAME
from models.detector.readers import read_coco
from models.detector.sources import Maker, Source

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
BOXES = {  # where each class is drawn, as shares of the picture: x0, y0, x1, y1
    "bag": (0.05, 0.45, 0.25, 0.65),
    "bottom": (0.3, 0.5, 0.7, 0.85),
    "dress": (0.25, 0.2, 0.75, 0.85),
    "hat": (0.4, 0.0, 0.6, 0.12),
    "outer": (0.2, 0.15, 0.8, 0.6),
    "shoes": (0.3, 0.88, 0.48, 1.0),
    "top": (0.3, 0.15, 0.7, 0.48),
    "etc": (0.4, 0.4, 0.6, 0.6),
}
COLOURS = {
    "bag": (200, 0, 0),
    "bottom": (0, 0, 200),
    "dress": (200, 0, 200),
    "hat": (0, 200, 200),
    "outer": (0, 120, 0),
    "shoes": (90, 60, 20),
    "top": (230, 200, 0),
    "etc": (90, 90, 90),
}


def thumbnail(category: str, product: int, side: int = 240) -> Image.Image:
    """A shape of the class on white, with a dot in the product's own colour."""
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    corners = [round(share * side) for share in BOXES[category]]
    draw.rectangle(corners, fill=COLOURS[category])
    dot = tuple(int(n) for n in np.random.default_rng(product).integers(0, 256, 3))
    x, y = (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2
    radius = min(corners[2] - corners[0], corners[3] - corners[1]) / 3
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=dot)
    return image


def worn(category: str, product: int, post: int) -> Image.Image:
    """The garment as cut out of a photo: no ground, some noise."""
    image = thumbnail(category, product)
    crop = image.crop([round(share * image.width) for share in BOXES[category]])
    pixels = np.asarray(crop, np.int16) + np.random.default_rng(post).integers(-20, 20, (crop.height, crop.width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def person(seed: int) -> tuple[Image.Image, list[tuple[str, tuple[float, float, float, float]]]]:
    """A photo of 160×200 px with a top, a bottom and perhaps more, and its true boxes."""
    draw_from = np.random.default_rng(seed)
    image = Image.fromarray(draw_from.integers(150, 255, (200, 160, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    chosen = ["dress"] if seed % 3 == 0 else ["outer", "bottom"] if seed % 3 == 1 else ["top", "bottom"]
    truth = []
    for name in [*chosen, *(name for name in ("bag", "hat", "shoes") if draw_from.random() < 0.6)]:
        x0, y0, x1, y1 = BOXES[name]
        dx, dy = draw_from.uniform(-0.03, 0.03, 2)
        box = (max(0, (x0 + dx) * 160), max(0, (y0 + dy) * 200), min(160, (x1 + dx) * 160), min(200, (y1 + dy) * 200))
        draw.rectangle(box, fill=COLOURS[name])
        truth.append((name, box))
    return image, truth


def coco_folder(root: Path, count: int, names: dict[str, str] | None = None) -> Path:
    """A COCO source: `annotations.json` and `images/`; `names` renames our classes to the maker's."""
    (root / "images").mkdir(parents=True)
    ids = {name: index + 1 for index, name in enumerate(CATEGORIES)}
    images, annotations = [], []
    for index in range(count):
        image, truth = person(index)
        image.save(root / "images" / f"{index:04d}.jpg", quality=90)
        images.append({"id": index, "file_name": f"{index:04d}.jpg", "width": image.width, "height": image.height})
        for name, (x0, y0, x1, y1) in truth:
            bbox = [x0, y0, x1 - x0, y1 - y0]
            annotations.append({"id": len(annotations), "image_id": index, "category_id": ids[name], "bbox": bbox})
    categories = [{"id": ids[name], "name": (names or {}).get(name, name)} for name in CATEGORIES]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(data))
    return root


def coco_source(folder: Path, name: str = "toy", *, commercial: bool = True) -> Source:
    """What `coco_folder` made, for `build_detection_dataset`."""
    return Source(name, folder, Maker(read_coco, SAME, "CC0", commercial))


def catalog_table(root: Path, per_class: int) -> ShardedTable:
    """A catalog with `per_class` products of each label, one shard per label."""
    for number, category in enumerate(LABELS):
        rows = [
            {
                "site": "kream",
                "product_id": str(number * 1000 + index),
                "product_name": f"{category} {index}",
                "brand": "toy",
                "price": 1000,
                "product_url": f"http://shop.test/products/{number * 1000 + index}",
                "shop_category_id": number,
                "category": category,
                **image_columns(encode_jpeg(thumbnail(category, number * 1000 + index))),
            }
            for index in range(per_class)
        ]
        write_shard(root, f"kream/{category}", CATALOG, [rows_to_batch(rows, CATALOG)], fingerprint=category)
    return ShardedTable(root)


def posts_table(root: Path, pictures: list[tuple[str, bytes | None]]) -> ShardedTable:
    """One shard of posts with one picture each; `pictures` holds (role, bytes or None for a picture with an error)."""
    rows = [
        {
            "site": "kream",
            "post_id": index,
            "post_url": f"http://shop.test/posts/{index}",
            "role": role,
            "position": 0,
            **dict.fromkeys(("product_name", "brand", "price", "product_url", "posted_at")),
            "product_id": str(index) if role == "product" else None,
            **(image_columns(data) if data is not None else missing_image()),
        }
        for index, (role, data) in enumerate(pictures)
    ]
    write_shard(root, "kream/000000", POSTS, [rows_to_batch(rows, POSTS)], fingerprint="toy")
    return ShardedTable(root)


def image_columns(data: bytes) -> dict[str, object]:
    return {
        **missing_image(),
        "bytes": data,
        "format": "JPEG",
        "has_alpha": False,
        "sha256": hashlib.sha256(data).hexdigest(),
        "error": None,
    }


def missing_image() -> dict[str, object]:
    empty = dict.fromkeys(("bytes", "format", "width", "height", "has_alpha", "sha256"))
    return {"image_url": "http://shop.test/x.jpg", **empty, "error": "missing", "crawled_at": NOW}


def pair_dataset(root: Path, products: int, posts: int = 3) -> Path:
    """A pair dataset: `products` per class, each worn in `posts` posts; every fifth product is validation.

    Crops are negatives of their colours: what has not learned that from the pairs finds nothing.
    """
    for split in ("train", "validation", "test"):
        rows = []
        for number, category in enumerate(CATEGORIES):
            for index in range(products):
                if split == ("validation" if index % 5 == 0 else "test" if index % 5 == 1 else "train"):
                    rows += [pair_row(category, number * 1000 + index, post, split) for post in range(posts)]
        write_shard(root, f"{split}-00000", PAIRS, [rows_to_batch(rows, PAIRS)], fingerprint=split)
    return root


def pair_row(category: str, product: int, post: int, split: str) -> dict[str, object]:
    anchor = encode_jpeg(ImageOps.invert(worn(category, product, product * 100 + post)))
    positive = encode_jpeg(thumbnail(category, product))
    empty = {field.name: None for field in PAIRS if field.nullable}
    return {
        **empty,
        "anchor": {"bytes": anchor, "path": None},
        "positive": {"bytes": positive, "path": None},
        "split": split,
        "site": "kream",
        "post_id": product * 100 + post,
        "post_url": "http://shop.test/posts/1",
        "product_id": str(product),
        "product_cluster_id": f"cluster-{product}",
        "category": category,
        "photo_position": 0,
        "product_position": 0,
        "anchor_sha256": hashlib.sha256(anchor).hexdigest(),
        "positive_sha256": hashlib.sha256(positive).hexdigest(),
        "detector_version": "d",
        "classifier_version": "c",
        "crawled_at": NOW,
    }
