"""When two pictures are one: reposts are, colourways, prints and blank pictures are not."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from curation.dedup import DuplicateIndex
from curation.duplicates import PHOTO_RULE, PRODUCT_RULE, DuplicateRule, confirmed, product_clusters
from curation.hashing import colour_layout, describe
from curation.images import decode, encode_jpeg
from curation.layouts import worst_cell
from curation.schemas import LAYOUT_BYTES
from curation.tables import ShardedTable
from tests.curation.builders import scene, write_hashes


def _verdicts(folder: Path, images: dict[str, Image.Image], role: str = "photo") -> list[dict[str, Any]]:
    rows = [
        {**describe(image), "sha256": name, "role": role, "site": "kream", "post_id": number, "position": 0}
        for number, (name, image) in enumerate(images.items())
    ]
    write_hashes(folder, "kream/000000", rows)
    return DuplicateIndex(folder).update().table.table().to_pylist()


def _clusters(folder: Path, images: dict[str, Image.Image], role: str = "photo") -> dict[str, str]:
    return {row["sha256"]: row["cluster_id"] for row in _verdicts(folder, images, role)}


def _garment(colour: str, print_at: int | None = None) -> Image.Image:
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.polygon(
        [(60, 60), (240, 60), (280, 130), (230, 150), (230, 270), (70, 270), (70, 150), (20, 130)], fill=colour
    )
    if print_at is not None:
        draw.ellipse([print_at, 120, print_at + 60, 180], fill="black")
    return image


def test_agrees__a_photo_is_rarely_near_every_limit() -> None:
    def agrees(rule: DuplicateRule, share: float) -> bool:
        limits = rule.phash_bits, rule.dhash_bits, rule.colour_levels, rule.luma_levels
        return bool(rule.agrees(*(np.array([share * limit]) for limit in limits))[0])

    assert [agrees(PHOTO_RULE, share) for share in (0.66, 0.67)] == [True, False]  # the sum of the four counts
    assert [agrees(PRODUCT_RULE, share) for share in (1.0, 1.01)] == [True, False]


def test_confirmed__no_pair_is_lost_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.duplicates._PAIRS", 3)
    pairs, hashes = np.arange(10), np.zeros(10, np.uint64)
    found = confirmed(PHOTO_RULE, pairs, pairs[::-1], hashes, hashes, np.zeros((10, LAYOUT_BYTES), np.uint8))
    assert (found.i.tolist(), found.j.tolist()) == (pairs.tolist(), pairs[::-1].tolist())


def test_rules__reposts_join_the_original(tmp_path: Path) -> None:
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
    found = _clusters(tmp_path, images)
    assert {found[name] for name in ("small", "cropped", "marked", "worse")} == {"original"}
    assert found["other"] == "other"


def test_rules__colourways_and_prints_stay_apart(tmp_path: Path) -> None:
    images = {
        "red": _garment("#c03030"),
        "blue": _garment("#3040c0"),
        "red with a print": _garment("#c03030", 110),
        "print elsewhere": _garment("#c03030", 150),
    }
    assert _clusters(tmp_path, images, "product") == {name: name for name in images}


def test_rules__a_tinge_of_equal_luma_makes_a_colourway(tmp_path: Path) -> None:
    images = {"grey": _garment("#787878"), "bluish": _garment("#6d7a8d")}
    assert _clusters(tmp_path, images, "product") == {name: name for name in images}


def test_rules__another_colour_before_white_is_another_photo(tmp_path: Path) -> None:
    images = {"dark": _garment("#303030"), "grey": _garment("#707070"), "red": _garment("#a02020")}
    assert _clusters(tmp_path, images) == {name: name for name in images}


def test_rules__coloured_trim_makes_a_colourway(tmp_path: Path) -> None:
    plain = _garment("#202020")
    images = {"plain": plain}
    for name, colour in {"orange": "#e08020", "white": "#e0e0e0"}.items():
        images[name] = plain.copy()
        ImageDraw.Draw(images[name]).rectangle([70, 262, 230, 270], fill=colour)
    assert _clusters(tmp_path, images, "product") == {name: name for name in images}


def test_rules__same_thumbnail_resized_is_one_product(tmp_path: Path) -> None:
    shop = _garment("#208040", 120)
    buffer = io.BytesIO()
    shop.resize((220, 220)).save(buffer, "WEBP", quality=70)
    found = _clusters(tmp_path, {"shop": shop, "other site": decode(buffer.getvalue())}, "product")
    assert found == {"shop": "shop", "other site": "shop"}
    assert product_clusters(ShardedTable(tmp_path / "duplicate_clusters")) == found


def test_rules__blank_pictures_are_never_duplicates(tmp_path: Path) -> None:
    images = {"white": Image.new("RGB", (200, 200), "white"), "grey": Image.new("RGB", (200, 200), "#f4f4f4")}
    verdicts = _verdicts(tmp_path, images)
    assert [(row["evidence"], row["is_representative"]) for row in verdicts] == [("blank", True)] * 2


def test_colour_layout__grey_ground_moves_luma_alone() -> None:
    white, tile = (colour_layout(Image.new("RGB", (64, 64), colour))[None] for colour in ("white", "#f4f4f4"))
    assert [values.tolist() for values in worst_cell(white, tile)] == [[0.0], [11.0]]
