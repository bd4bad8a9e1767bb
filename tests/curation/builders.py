"""Small pictures and table rows for the curation tests."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from curation.colours import crop_colours, thumbnail_colours
from curation.images import encode_jpeg
from curation.pair_rows import Pair
from curation.schemas import CANDIDATES, CROPS, HASHES, POSTS, THUMBNAILS
from curation.tables import Shard, ShardedTable, rows_to_batch, write_shard
from curation.tables import fingerprint as fingerprint_of

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


def picture(seed: int) -> bytes:
    """`scene` as a JPEG."""
    return encode_jpeg(scene(seed))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def damage(file: Path, column: str, groups: Iterable[int]) -> None:
    """Overwrite what some row groups of a Parquet file hold of a column, so that it cannot be read."""
    metadata, data = pq.read_metadata(file), bytearray(file.read_bytes())
    for group in groups:
        chunks = [metadata.row_group(group).column(place) for place in range(metadata.num_columns)]
        for chunk in chunks:
            if chunk.path_in_schema.split(".")[0] == column:
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                data[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    file.write_bytes(data)


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
        "image_sha256": sha(picture(post_id)),
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


def candidate_row(number: int, **values: Any) -> dict[str, Any]:
    """A candidate pair of a post and a product of its own; every fifth one was dropped as a repost."""
    kept = number % 5 != 0
    anchor, positive = encode_jpeg(scene(number)), encode_jpeg(scene(1000 + number))
    row = dict.fromkeys(CANDIDATES.names)
    row |= {
        "site": "kream",
        "post_id": number,
        "post_url": f"https://example.test/social/posts/{number}",
        "product_id": str(number),
        "product_cluster_id": f"c{number}",
        "photo_cluster_id": f"f{number}",
        "category": "hat",
        "photo_position": 0,
        "product_position": 0,
        "box": [1.0, 2.0, 30.0, 40.0],
        "detector_score": 0.9,
        "classifier_probability": 0.9,
        "verification_score": 0.8,
        "anchor_sha256": sha(b"photo %d" % number),
        "crop_sha256": sha(anchor),
        "positive_sha256": sha(positive),
        "anchor_phash": 2**64 - 1,
        "detector_version": "d",
        "classifier_version": "c",
        "crawled_at": NOW,
        "kept": kept,
        "reason": None if kept else "repost",
        "anchor_bytes": anchor if kept else None,
        "positive_bytes": positive if kept else None,
    }
    return row | values


def candidates(root: Path, blocks: Mapping[str, Iterable[dict[str, Any]]], fingerprint: str = "") -> ShardedTable:
    """A CANDIDATES table of these rows by shard name."""
    for name, block in blocks.items():
        rows = list(block)
        key = fingerprint or str([(row["post_id"], row["kept"]) for row in rows])
        write_shard(root, f"kream/{name}", CANDIDATES, [rows_to_batch(rows, CANDIDATES)], fingerprint=key)
    return ShardedTable(root)


def read_colours(pairs: Iterable[Pair]) -> tuple[list[Mapping[str, Any]], Any, Any]:
    """Facts, crop colours (n, 320) and thumbnail colours (n, 320) of pairs."""
    rows = [(pair.facts, crop_colours(pair.anchor), thumbnail_colours(pair.positive)) for pair in pairs]
    facts, *colours = zip(*rows, strict=True)
    return list(facts), *(np.array(side, np.float32) for side in colours)


def write_hashes(folder: Path, name: str, rows: Sequence[dict[str, Any]]) -> Shard:
    """A shard of `image_hashes` in a folder of deduplication."""
    batch = rows_to_batch([dict.fromkeys(HASHES.names) | row for row in rows], HASHES)
    return write_shard(folder / "image_hashes", name, HASHES, [batch], fingerprint=fingerprint_of(list(rows)))


def framed(
    ground: tuple[int, int, int] = (244, 244, 244), box: tuple[int, int, int, int] = (90, 60, 180, 270)
) -> Image.Image:
    """A red garment before a plain ground, 300 px wide and high."""
    image = Image.new("RGB", (300, 300), ground)
    image.paste((200, 30, 30), box)
    return image
