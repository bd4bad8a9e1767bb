"""Exact hashes are those of the library bit for bit; fast ones are near them, and both say which they are."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image

from curation.errors import ImageError
from curation.hashing import HashImages, Mode, as_layouts, describe, describe_bytes, pack_bits, perceptual_hash
from curation.images import decode, encode_jpeg
from curation.schemas import POSTS
from curation.tables import rows_to_batch, write_shard
from tests.curation.builders import picture_row, scene


def _turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, quality=90)
    return buffer.getvalue()


@pytest.mark.parametrize("seed", range(8))
def test_describe__exact_hashes_are_the_librarys(seed: int) -> None:
    data = encode_jpeg(scene(seed, (300 + 37 * seed, 400)))
    image = decode(data)
    found = describe_bytes(data)
    assert f"{found['phash']:016x}" == str(imagehash.phash(image))
    assert (found["dhash"] ^ int(str(imagehash.dhash(image)), 16)).bit_count() <= 3
    assert found["phash"] == perceptual_hash(image)


@pytest.mark.parametrize("seed", range(8))
def test_describe_bytes__fast_is_within_a_few_bits_of_exact(seed: int) -> None:
    data = encode_jpeg(scene(seed, (700, 900)))
    exact, fast = describe_bytes(data, Mode.EXACT), describe_bytes(data, Mode.FAST)
    assert (exact["phash"] ^ fast["phash"]).bit_count() <= 4
    assert (exact["dhash"] ^ fast["dhash"]).bit_count() <= 8
    assert np.abs(np.subtract(*(as_layouts([row["colour"]]).astype(int) for row in (exact, fast)))).max() <= 6
    assert (fast["width"], fast["height"]) == (exact["width"], exact["height"]) == (700, 900)
    assert (exact["mode"], fast["mode"]) == ("exact", "fast")


def test_describe_bytes__fast_turns_as_exif_says() -> None:
    fast = describe_bytes(_turned(scene(3, (900, 600))), Mode.FAST)
    exact = describe_bytes(_turned(scene(3, (900, 600))))
    assert (fast["width"], fast["height"]) == (exact["width"], exact["height"]) == (600, 900)
    assert (exact["phash"] ^ fast["phash"]).bit_count() <= 4


def test_describe_bytes__fast_notices_truncation() -> None:
    data = encode_jpeg(scene(1, (700, 900)))
    with pytest.raises(ImageError) as caught:
        describe_bytes(data[: len(data) // 2], Mode.FAST)
    assert caught.value.reason == "truncated"


def test_describe__blank_is_what_the_hash_cannot_see() -> None:
    rng = np.random.default_rng(0)
    paper = Image.fromarray(rng.integers(240, 256, (600, 600, 3), dtype=np.uint8))
    assert describe(paper)["blank"]
    assert not describe(scene(1))["blank"]


def test_pack_bits__first_bit_is_most_significant() -> None:
    bits = np.zeros((8, 8), bool)
    bits[0, 0] = True
    assert pack_bits(bits) == 2**63


@pytest.mark.parametrize("mode", list(Mode))
def test_hash_images__every_row_is_hashed_or_counted(tmp_path: Path, mode: Mode) -> None:
    data = encode_jpeg(scene(1, (700, 900)))
    rows: list[dict[str, Any]] = [
        picture_row(1, "photo", 0, data),
        picture_row(1, "product", 0, data[:900]),
        picture_row(2, "photo", 0, None),
        picture_row(3, "photo", 0, data),
    ]
    shard = write_shard(tmp_path, "kream/000000", POSTS, [rows_to_batch(rows, POSTS)], fingerprint="p")
    counts: Counter[str] = Counter()
    found = [row for batch in HashImages(mode)(shard, counts=counts) for row in batch.to_pylist()]
    assert counts == {"kept": 2, "truncated": 2}
    assert [(row["post_id"], row["mode"], row["width"]) for row in found] == [(1, mode, 700), (3, mode, 700)]
