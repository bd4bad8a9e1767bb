"""Small pictures and table rows for the curation tests."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from curation.images import encode_jpeg
from curation.schemas import CROPS, HASHES, POSTS, THUMBNAILS
from curation.tables import Shard, fingerprint, rows_to_batch, write_shard

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def scene(seed: int, size: tuple[int, int] = (240, 300)) -> Image.Image:
    """A colourful picture of rectangles, the same for the same seed."""
    rng = np.random.default_rng(seed)
    unit = min(size) // 8
    image = Image.new("RGB", size, tuple(int(v) for v in rng.integers(60, 200, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = rng.integers(0, size[0] - unit), rng.integers(0, size[1] - unit)
        w, h = rng.integers(unit, 4 * unit, 2)
        draw.rectangle([int(x), int(y), int(x + w), int(y + h)], fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    return image


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def picture_row(post_id: int, role: str, position: int, data: bytes | None, **values: Any) -> dict[str, Any]:
    row = dict.fromkeys(POSTS.names)
    row |= {
        "site": "kream",
        "post_id": post_id,
        "post_url": f"https://example.test/social/posts/{post_id}",
        "role": role,
        "position": position,
        "image_url": f"https://example.test/{role}/{post_id}/{position}.jpg",
        "bytes": data,
        "sha256": sha(data) if data else None,
        "error": None if data else "truncated",
        "crawled_at": NOW,
    }
    return row | values


def crop_row(
    post_id: int, position: int, category: str, score: float, box: list[float], **values: Any
) -> dict[str, Any]:
    row = dict.fromkeys(CROPS.names)
    row |= {
        "site": "kream",
        "post_id": post_id,
        "position": position,
        "image_sha256": "0",
        "category": category,
        "score": score,
        "box": box,
        "kept": True,
        "bytes": encode_jpeg(scene(post_id).crop(tuple(int(v) for v in box))),
        "detector_version": "d1",
    }
    return row | values


def thumbnail_row(post_id: int, position: int, category: str | None, **values: Any) -> dict[str, Any]:
    row = dict.fromkeys(THUMBNAILS.names)
    row |= {
        "site": "kream",
        "post_id": post_id,
        "position": position,
        "product_id": f"p{post_id}-{position}",
        "category": category,
        "probability": 0.9,
        "kept": True,
        "classifier_version": "c1",
    }
    return row | values


def write_hashes(folder: Path, name: str, rows: Sequence[dict[str, Any]]) -> Shard:
    """A shard of `image_hashes` in a folder of deduplication."""
    batch = rows_to_batch([dict.fromkeys(HASHES.names) | row for row in rows], HASHES)
    return write_shard(folder / "image_hashes", name, HASHES, [batch], fingerprint=fingerprint(list(rows)))
