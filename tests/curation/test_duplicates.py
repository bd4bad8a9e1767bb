"""Near-duplicates: exact join, no chaining, and the second opinion that keeps colourways apart."""

import io

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageEnhance

from curation.duplicates import cluster, hamming_pairs
from curation.hashing import describe, pack_bits, perceptual_hash
from curation.images import decode, encode_jpeg
from curation.schemas import HASHES
from tests.curation.builders import scene


def _hashes(images: dict[str, Image.Image], role: str = "photo") -> pa.Table:
    rows = []
    for number, (name, image) in enumerate(images.items()):
        place = {"site": "kream", "post_id": number, "position": 0, "product_id": None}
        rows.append({**describe(image), "sha256": name, "role": role, **place})
    return pa.Table.from_pylist(rows, schema=HASHES)


def _clusters(images: dict[str, Image.Image], role: str = "photo") -> dict[str, str]:
    table = cluster(_hashes(images, role))
    return dict(zip(table["sha256"].to_pylist(), table["cluster_id"].to_pylist(), strict=True))


def _garment(colour: str, print_at: int | None = None) -> Image.Image:
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.polygon(
        [(60, 60), (240, 60), (280, 130), (230, 150), (230, 270), (70, 270), (70, 150), (20, 130)], fill=colour
    )
    if print_at is not None:
        draw.ellipse([print_at, 120, print_at + 60, 180], fill="black")
    return image


def test_perceptual_hash__matches_the_library_bit_for_bit() -> None:
    import imagehash

    image = scene(5)
    assert f"{perceptual_hash(image):016x}" == str(imagehash.phash(image))


def test_pack_bits__first_bit_is_most_significant() -> None:
    bits = np.zeros((8, 8), bool)
    bits[0, 0] = True
    assert pack_bits(bits) == 2**63


def test_hamming_pairs__equals_brute_force_across_blocks() -> None:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2**63, 40, dtype=np.uint64)
    hashes = np.concatenate([base ^ (np.uint64(1) << rng.integers(0, 63, 40, dtype=np.uint64)) for _ in range(60)])
    found = {(int(i), int(j)) for a, b, _ in hamming_pairs(hashes, 2) for i, j in zip(a, b, strict=True)}
    plain = {
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 2
    }
    assert found == plain


def test_cluster__reposts_join_the_earliest() -> None:
    original = scene(7, (400, 500))
    small = original.resize((320, 400))
    cropped = original.crop((6, 6, 394, 494))
    marked = original.copy()
    ImageDraw.Draw(marked).text((300, 470), "@someone", fill="white")
    worse = decode(encode_jpeg(ImageEnhance.Brightness(original).enhance(1.05), quality=50))
    images = {
        "original": original,
        "small": small,
        "cropped": cropped,
        "marked": marked,
        "worse": worse,
        "other": scene(8),
    }
    found = _clusters(images)
    assert {found[name] for name in ("small", "cropped", "marked", "worse")} == {"original"}
    assert found["other"] == "other"


def test_cluster__colourways_and_prints_stay_apart() -> None:
    images = {
        "red": _garment("#c03030"),
        "blue": _garment("#3040c0"),
        "red with a print": _garment("#c03030", 110),
        "print elsewhere": _garment("#c03030", 150),
    }
    assert _clusters(images, "product") == {name: name for name in images}


def test_cluster__same_thumbnail_resized_is_one_product() -> None:
    shop = _garment("#208040", 120)
    buffer = io.BytesIO()
    shop.resize((220, 220)).save(buffer, "WEBP", quality=70)
    assert _clusters({"shop": shop, "other site": decode(buffer.getvalue())}, "product")["other site"] == "shop"


def test_cluster__blank_pictures_are_never_duplicates() -> None:
    white = Image.new("RGB", (200, 200), "white")
    grey = Image.new("RGB", (200, 200), "#f4f4f4")
    table = cluster(_hashes({"white": white, "grey": grey}))
    assert table["evidence"].to_pylist() == ["blank", "blank"]
    assert table["is_representative"].to_pylist() == [True, True]


def test_cluster__does_not_chain() -> None:
    """a-b and b-c are within the radius, a-c is not: c must not reach a's cluster through b."""
    row = {**describe(scene(1)), "role": "photo", "site": "kream", "position": 0, "product_id": None, "dhash": 0}
    chain = [0, (1 << 12) - 1, (1 << 24) - 1]
    rows = [
        {**row, "phash": value, "sha256": name, "post_id": i}
        for i, (name, value) in enumerate(zip("abc", chain, strict=True))
    ]
    table = cluster(pa.Table.from_pylist(rows, schema=HASHES))
    assert table["cluster_id"].to_pylist() == ["a", "a", "c"]
