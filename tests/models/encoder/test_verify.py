"""Verification: two halves that never judge themselves, scores on what is kept, pictures only for it."""

import hashlib
import math
from collections import Counter
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.images import encode_jpeg
from curation.posts import posts_in_step
from curation.schemas import CROPS, POSTS, TAG_MATCHES
from curation.tables import ShardedTable, rows_to_batch, write_shard
from models.encoder.infer import Encoder
from models.encoder.verify import HALVES, VerifyPairs, half_of, learn_rivals, rivals_of, with_pictures, write_halves
from models.errors import CheckpointError
from tests.curation.builders import damage
from tests.models import toys

BOX = [10.0, 20.0, 50.0, 60.0]
PHOTO = "sha256 of a photo"
POSTS_IN_ALL = 40


def _tables(root: Path, matched: Container[int] | None = None) -> list[ShardedTable]:
    """Posts of one hat each, of which every fourth was not matched; the crop of post 1 shows another hat.

    Of posts that are not in `matched` none was.
    """
    posts, crops, matches = [], [], []
    for number in range(POSTS_IN_ALL):
        product = number % 5
        shown = product + 1 if number == 1 else product
        thumbnail, crop = encode_jpeg(toys.thumbnail("hat", product)), encode_jpeg(toys.worn("hat", shown, number))
        key = {"site": "kream", "post_id": number}
        posts += [
            dict.fromkeys(POSTS.names) | key | _picture("photo", encode_jpeg(Image.new("RGB", (60, 80)))),
            dict.fromkeys(POSTS.names) | key | _picture("product", thumbnail),
        ]
        crops.append(
            dict.fromkeys(CROPS.names)
            | key
            | {"position": 0, "image_sha256": PHOTO, "category": "hat", "score": 0.9, "box": BOX}
            | {"kept": True, "bytes": crop, "detector_version": "d"}
        )
        kept = number % 4 != 0 and (matched is None or number in matched)
        matches.append(_match(key, str(product), posts[-1]["sha256"], kept=kept))
    rows = {"posts": (posts, POSTS), "crops": (crops, CROPS), "matches": (matches, TAG_MATCHES)}
    for name, (items, schema) in rows.items():
        write_shard(root / name, "kream/000000", schema, [rows_to_batch(items, schema)], fingerprint=name)
    return [ShardedTable(root / name) for name in rows]


def _picture(role: str, data: bytes) -> dict[str, Any]:
    row = {"role": role, "position": 0, "bytes": data, "post_url": "", "image_url": "", "crawled_at": toys.NOW}
    return row | {"sha256": toys.image_columns(data)["sha256"]}


def _match(key: dict[str, Any], product: str, thumbnail: str, *, kept: bool) -> dict[str, Any]:
    return {
        **dict.fromkeys(TAG_MATCHES.names),
        **key,
        "post_url": "",
        "product_id": product,
        "category": "hat",
        "photo_position": 0 if kept else -1,
        "product_position": 0,
        "box": BOX if kept else None,
        "detector_score": 0.9 if kept else None,
        "classifier_probability": 0.99,
        "colour_agreement": 0.9 if kept else None,
        "anchor_sha256": PHOTO if kept else None,
        "positive_sha256": thumbnail,
        "detector_version": "d",
        "classifier_version": "c",
        "crawled_at": toys.NOW,
        "kept": kept,
        "reason": None if kept else "no_box_of_category",
    }


class ByColour:
    """Stands in for an encoder: the mean colour of the middle, as a unit vector; remembers how much it saw."""

    version = "by colour"

    def __init__(self) -> None:
        self.seen = 0

    def embed(self, images: list[Image.Image]) -> np.ndarray:
        self.seen += len(images)
        middle = [np.asarray(toys_middle(image), np.float32).reshape(-1, 3).mean(0) - 127 for image in images]
        return np.array([vector / np.linalg.norm(vector) for vector in middle], np.float32).reshape(-1, 3)


def toys_middle(image: Image.Image) -> Image.Image:
    """The dot that tells products apart: in a thumbnail it is where the hat is drawn."""
    if image.width == image.height:  # a thumbnail
        x0, y0, x1, y1 = (round(share * image.width) for share in toys.BOXES["hat"])
        image = image.crop((x0, y0, x1, y1))
    x, y, reach = image.width // 2, image.height // 2, 5
    return image.crop((x - reach, y - reach, x + reach, y + reach))


def _verified(root: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[list[dict[str, Any]], Any]:
    monkeypatch.setattr(Encoder, "load", lambda _path: ByColour())
    tables = _tables(root)
    learn_rivals(root / "verifier", write_halves(tables, root / "halves", most=1000))
    version = f"by colour/by colour/{rivals_of(root / 'verifier').fingerprint}"
    options = {"verifier": str(root / "verifier"), "verifier_version": version, "least_verification": 0.0, **options}
    step = VerifyPairs(**options)
    shards = [table.shards[0] for table in tables]
    counts: Counter[str] = Counter()
    rows = [row for batch in step(*shards, counts=counts) for row in batch.to_pylist()]
    assert sum(counts.values()) == len(rows) == POSTS_IN_ALL
    return rows, step


def test_verify_pairs__wrong_crop_is_the_least_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = _verified(tmp_path, monkeypatch)
    kept = [row for row in rows if row["kept"]]
    assert min(kept, key=lambda row: row["verification_score"])["post_id"] == 1
    assert all(row["anchor_bytes"] and row["positive_bytes"] for row in kept)
    assert all(row["anchor_bytes"] is None for row in rows if not row["kept"])
    least = sorted(row["verification_score"] for row in kept)[1]
    strict, _ = _verified(tmp_path / "strict", monkeypatch, least_verification=least - 1e-6)
    (doubtful,) = [row for row in strict if row["reason"] == "doubtful"]
    assert (doubtful["post_id"], doubtful["anchor_bytes"], doubtful["kept"]) == (1, None, False)


def test_verify_pairs__proportions_of_crop_and_thumbnail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = _verified(tmp_path, monkeypatch)
    left, top, right, bottom = toys.BOXES["hat"]
    wanted = math.log((BOX[3] - BOX[1]) / (BOX[2] - BOX[0]) * (right - left) / (bottom - top))
    for row in rows:
        assert row["proportion_difference"] == (pytest.approx(wanted, abs=0.05) if row["kept"] else None)


def test_verify_pairs__each_half_is_judged_by_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, step = _verified(tmp_path, monkeypatch)
    posts = [row["post_id"] for row in rows if row["kept"]]
    for half, encoder in enumerate(step._encoders):
        crops = sum(half_of("kream", post) != half for post in posts)
        thumbnails = len({post % 5 for post in posts if half_of("kream", post) != half})
        assert encoder.seen == crops + thumbnails


def test_verify_pairs__without_encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = _verified(tmp_path, monkeypatch, verifier="")
    scores = {row["verification_score"] for row in rows if row["kept"]}
    assert len(scores) == 1  # all had the same shares
    assert all(row["encoder_similarity"] is row["encoder_preference"] is None for row in rows)


def test_verify_pairs__parts_of_two_verifiers_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _verified(tmp_path, monkeypatch)
    verifier = tmp_path / "verifier"
    version = f"by colour/by colour/{rivals_of(verifier).fingerprint}"
    VerifyPairs(str(verifier), version, 0.0)
    monkeypatch.setattr(ByColour, "version", "learned anew")
    with pytest.raises(CheckpointError, match=r"has version learned anew/learned anew/\w+, asked for by colour"):
        VerifyPairs(str(verifier), version, 0.0)


@pytest.mark.parametrize("role", ["photo", "product"])
def test_with_pictures__post_that_has_others_since_waits(tmp_path: Path, role: str) -> None:
    pictures, crops, matches = next(posts_in_step(*(table.shards[0] for table in _tables(tmp_path)), only=[1]))
    assert len(with_pictures(pictures, crops, matches)) == 1
    if role == "photo":
        crops = [row | {"image_sha256": "of another photo"} for row in crops]
    else:
        pictures = [row | {"sha256": "of another thumbnail"} for row in pictures]
    assert with_pictures(pictures, crops, matches) == []


def test_verify_pairs__another_product_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = _verified(tmp_path, monkeypatch)
    preferences = {row["post_id"]: row["encoder_preference"] for row in rows if row["kept"]}
    assert preferences.pop(1) < 0.1  # its crop shows the product that post 2 is tagged with
    assert min(preferences.values()) > 0.5


def test_write_halves__disjoint_and_whole(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    halves = write_halves(tables, tmp_path / "halves", most=1000)
    posts = [set(ShardedTable(half).table(["post_id"])["post_id"].to_pylist()) for half in halves]
    assert not posts[0] & posts[1]
    assert posts[0] | posts[1] == {post for post in range(POSTS_IN_ALL) if post % 4}
    assert all(half_of("kream", post) == half for half in range(HALVES) for post in posts[half])


def test_write_halves__shard_that_was_crawled_since_waits(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    before = [ShardedTable(half).rows for half in write_halves(tables, tmp_path / "before", most=1000)]
    write_shard(tmp_path / "posts", "kream/000001", POSTS, [POSTS.empty_table()], fingerprint="new")
    tables = [ShardedTable(table.root) for table in tables]
    assert [ShardedTable(half).rows for half in write_halves(tables, tmp_path / "halves", most=1000)] == before


def test_write_halves__no_more_than_asked(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    halves = write_halves(tables, tmp_path / "halves", most=5)
    counts = [ShardedTable(half).rows for half in halves]
    assert 0 < sum(counts) < 20  # of 30, about 10


def test_write_halves__what_a_look_at_every_post_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.models.encoder.test_verify.POSTS_IN_ALL", 400)
    tables = _tables(tmp_path)
    halves = write_halves(tables, tmp_path / "halves", most=60)
    wanted: dict[tuple[int, str], list[tuple[int, bytes, bytes]]] = {
        (half, split): [] for half in range(HALVES) for split in ("train", "validation")
    }
    for tables_of_post in posts_in_step(*(table.shards[0] for table in tables)):
        post_id = tables_of_post[0][0]["post_id"]
        digest = int.from_bytes(hashlib.sha256(f"kream/{post_id}".encode()).digest()[:8])
        split = "train" if digest // HALVES % 20 else "validation"
        if digest // HALVES // 20 % 10_000 < 10_000 * HALVES * 60 / 300:  # of 400 posts, every fourth was not matched
            kept = [row for row in with_pictures(*tables_of_post) if row["kept"]]
            rows = [(post_id, row["anchor_bytes"], row["positive_bytes"]) for row in kept]
            wanted[digest % HALVES, split] += rows
    assert all(wanted.values())
    for (half, split), rows in wanted.items():
        found = pq.read_table(halves[half] / f"{split}-00000.parquet").to_pylist()
        assert [(row["post_id"], row["anchor"]["bytes"], row["positive"]["bytes"]) for row in found] == rows
        assert {row["split"] for row in found} == {split}


def test_write_halves__pictures_of_other_posts_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.models.encoder.test_verify.POSTS_IN_ALL", 4 * 128)  # two rows each, 256 rows a group
    tables = _tables(tmp_path, matched=range(128, 256))
    damage(tables[0].shards[0].path, "bytes", [0, 2, 3])
    halves = write_halves(tables, tmp_path / "halves", most=1000)
    assert sum(ShardedTable(half).rows for half in halves) == 96
