"""A small shop drawn by a seed, and stand-ins for the models that work on real pixels in microseconds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from curation.images import encode_jpeg
from curation.schemas import EMBEDDINGS
from curation.tables import ShardedTable, rows_to_batch, write_shard
from models.boxes import Detection

CATEGORIES = ("top", "bottom", "shoes")
PER_CATEGORY = 20
PHOTO = (300, 400)
BOXES = {
    "top": (60.0, 40.0, 180.0, 160.0),
    "bottom": (60.0, 170.0, 180.0, 290.0),
    "shoes": (190.0, 290.0, 290.0, 390.0),
}


class BlockEncoder:
    """Mean colour of a 6×6 grid, centred and of unit length: alike pictures are near."""

    version = "blocks-1"

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        grids = [np.asarray(image.resize((6, 6), Image.Resampling.BOX), np.float32).ravel() for image in images]
        centred = np.stack(grids) - 127.5
        return (centred / np.linalg.norm(centred, axis=1, keepdims=True)).astype(np.float32)


class FixedDetector:
    """Finds the three garments of `photo_of` and a weaker copy of the first; nothing on plain grey."""

    def detect(self, images: Sequence[Image.Image], threshold: float) -> list[list[Detection]]:
        return [self._one(image, threshold) for image in images]

    def _one(self, image: Image.Image, threshold: float) -> list[Detection]:
        if np.asarray(image).std() < 1:
            return []
        found = [Detection(name, 0.9 - 0.1 * at, box) for at, (name, box) in enumerate(BOXES.items())]
        copy = Detection("outer", 0.5, (61.0, 41.0, 181.0, 161.0))
        return [item for item in [copy, *found] if item.score >= threshold]


def draw_product(number: int, side: int = 120) -> Image.Image:
    """A pattern that no other number has."""
    rng = np.random.default_rng([7, number])
    image = Image.new("RGB", (side, side), tuple(rng.integers(0, 255, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = rng.integers(0, side - 30, 2).tolist()
        w, h = rng.integers(20, side // 2, 2).tolist()
        pen.rectangle((x, y, x + w, y + h), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return image


def number_of(category: str, place: int) -> int:
    """Products are numbered through: 20 tops, 20 bottoms, 20 shoes."""
    return CATEGORIES.index(category) * PER_CATEGORY + place


def photo_of(top: int, bottom: int, shoes: int) -> bytes:
    """A photo on which those products are worn, at `BOXES`."""
    photo = Image.new("RGB", PHOTO, (200, 200, 205))
    for name, place in (("top", top), ("bottom", bottom), ("shoes", shoes)):
        x0, y0, x1, y1 = map(int, BOXES[name])
        photo.paste(draw_product(number_of(name, place)).resize((x1 - x0, y1 - y0)), (x0, y0))
    return encode_jpeg(photo)


def plain_photo() -> bytes:
    """A photo with nothing on it."""
    return encode_jpeg(Image.new("RGB", PHOTO, (128, 128, 128)))


def product_rows(per_category: int = PER_CATEGORY, version: str = BlockEncoder.version) -> list[dict]:
    """Rows of `curation.schemas.EMBEDDINGS` for the whole shop."""
    encoder = BlockEncoder()
    rows = []
    for category in CATEGORIES:
        for place in range(per_category):
            number = number_of(category, place)
            picture = draw_product(number)
            rows.append(
                {
                    "site": "kream",
                    "product_id": str(number),
                    "product_name": f"{category.title()} No. {place}",
                    "brand": "Atelier" if number % 2 else "한글 <b>브랜드</b>",
                    "price": 10_000 + 1_000 * number,
                    "product_url": f"https://kream.co.kr/products/{number}",
                    "category": category,
                    "sha256": f"{number:064x}",
                    "image_url": f"https://img.kream.co.kr/{number}.jpg",
                    "thumbnail": encode_jpeg(picture),
                    "vector": encoder.embed([picture])[0].tolist(),
                    "encoder_version": version,
                }
            )
    return rows


def write_embeddings(root: Path, rows: list[dict], fingerprint: str = "a") -> ShardedTable:
    """Write rows as one shard per category, like the catalog's."""
    for category in sorted({row["category"] for row in rows}):
        inside = [row for row in rows if row["category"] == category]
        batch = rows_to_batch(inside, EMBEDDINGS)
        write_shard(root, f"kream/{category}", EMBEDDINGS, [batch], fingerprint=f"{fingerprint}-{category}")
    return ShardedTable(root)
