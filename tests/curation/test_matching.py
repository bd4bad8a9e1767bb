"""Matching: every tagged product of a shard has one outcome, with its provenance."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from curation.dedup import DuplicateIndex
from curation.hashing import describe
from curation.images import decode, encode_jpeg
from curation.matching import MatchTags
from curation.pairing import PairingRules
from curation.schemas import CROPS, POSTS, THUMBNAILS
from curation.tables import ShardedTable, rows_to_batch, write_shard
from tests.curation.builders import crop_row, picture, picture_row, scene, sha, thumbnail_row, write_hashes

RULES = PairingRules()
_HAT = scene(1).crop((10, 10, 80, 80)).resize((210, 210))
"""A thumbnail in the colours of what post 1 shows."""


def _hash(tmp_path: Path, pictures: list[tuple[Image.Image, bytes, str]]) -> None:
    """Hash and cluster pictures, each with its bytes and role."""
    known = {"site": "kream", "position": 0, "product_id": None}
    hashes = [
        {**describe(image), **known, "sha256": sha(data), "role": role, "post_id": number}
        for number, (image, data, role) in enumerate(pictures)
    ]
    write_hashes(tmp_path, "kream/000000", hashes)
    DuplicateIndex(tmp_path).update()


def _shards(tmp_path: Path) -> list[Any]:
    """Post 1 pairs, post 2 reposts its photo, post 3 has no crops at all and a broken photo, post 4 has a broken
    thumbnail."""
    photo, hat = encode_jpeg(scene(1)), encode_jpeg(_HAT)
    repost = encode_jpeg(scene(1), quality=60)
    posts = [
        picture_row(1, "photo", 0, photo),
        picture_row(1, "product", 0, hat, product_id="h1"),
        picture_row(2, "photo", 0, repost),
        picture_row(2, "product", 0, hat, product_id="h1"),
        picture_row(3, "photo", 0, encode_jpeg(scene(3))),
        picture_row(3, "photo", 1, b"broken"),
        picture_row(3, "product", 0, hat, product_id="h1"),
        picture_row(4, "photo", 0, encode_jpeg(scene(4))),
        picture_row(4, "product", 0, None, product_id="h2"),
    ]
    crops = [crop_row(post, 0, "hat", 0.9, [10, 10, 80, 80]) for post in (1, 2, 4)]
    crops[1]["image_sha256"] = sha(repost)
    thumbnails = [thumbnail_row(post, 0, "hat", product_id="h1", image_sha256=sha(hat)) for post in (1, 2, 3)]
    thumbnails.append(thumbnail_row(4, 0, None, kept=False, reason="bad_image", probability=None))
    pictures = [(scene(1), photo, "photo"), (scene(1), repost, "photo"), (_HAT, hat, "product")]
    pictures.append((scene(4), encode_jpeg(scene(4)), "photo"))
    _hash(tmp_path, pictures)
    tables = {"posts": (posts, POSTS), "crops": (crops, CROPS), "thumbnails": (thumbnails, THUMBNAILS)}
    return [
        write_shard(tmp_path / name, "kream/000000", schema, [rows_to_batch(rows, schema)], fingerprint=name)
        for name, (rows, schema) in tables.items()
    ] + list(ShardedTable(tmp_path / "duplicate_clusters").shards)


def test_match_tags__each_tag_has_one_outcome_and_provenance(tmp_path: Path) -> None:
    shards = _shards(tmp_path)
    counts: Counter[str] = Counter()
    rows = [row for batch in MatchTags()(*shards, counts=counts) for row in batch.to_pylist()]
    assert [row["reason"] for row in rows] == [None, "repost", "no_box_of_category", "thumbnail_dropped"]
    assert counts == {"kept": 1, "repost": 1, "no_box_of_category": 1, "thumbnail_dropped": 1}
    assert len(list(MatchTags()(*shards, counts=Counter()))) == 1  # a row group for each post would be thousands
    pair = rows[0]
    assert pair["positive_sha256"] == sha(encode_jpeg(_HAT))
    assert RULES.least_agreement < pair["colour_agreement"] <= 1
    assert (pair["detector_version"], pair["classifier_version"], pair["box"]) == ("d1", "c1", [10, 10, 80, 80])


@pytest.mark.parametrize(("least", "reason"), [(RULES.least_agreement, "colours_differ"), (0.0, None)])
def test_match_tags__tag_of_another_colour(tmp_path: Path, least: float, reason: str | None) -> None:
    red, blue = _plain("firebrick"), _plain("navy")
    (match,) = _matches(tmp_path, {1: red}, photo=red, thumbnail=blue, least=least)
    assert (match["reason"], match["kept"]) == (reason, reason is None)


def test_match_tags__crop_of_another_colour_is_no_duplicate_of_the_right_one(tmp_path: Path) -> None:
    red, blue = _plain("firebrick"), _plain("navy")
    matches = _matches(tmp_path, {1: red, 2: blue, 3: blue}, photo=red, thumbnail=blue)
    assert [match["reason"] for match in matches] == ["colours_differ", None, "duplicate_pair"]


def _plain(colour: str) -> bytes:
    return encode_jpeg(Image.new("RGB", (210, 210), colour))


def _matches(
    root: Path, crops: dict[int, bytes], photo: bytes, thumbnail: bytes, least: float = RULES.least_agreement
) -> list[dict[str, Any]]:
    """Of posts that all show one photo and tag one hat, each with its own crop."""
    posts = []
    for post in crops:
        posts += [picture_row(post, "photo", 0, photo), picture_row(post, "product", 0, thumbnail, product_id="h1")]
    box = [10, 10, 80, 80]
    found = [crop_row(post, 0, "hat", 0.9, box, bytes=b, image_sha256=sha(photo)) for post, b in crops.items()]
    tagged = [thumbnail_row(post, 0, "hat", product_id="h1", image_sha256=sha(thumbnail)) for post in crops]
    _hash(root, [(decode(photo), photo, "photo"), (decode(thumbnail), thumbnail, "product")])
    rows = {"posts": (posts, POSTS), "crops": (found, CROPS), "thumbnails": (tagged, THUMBNAILS)}
    shards = [
        write_shard(root / name, "kream/000000", schema, [rows_to_batch(items, schema)], fingerprint=name)
        for name, (items, schema) in rows.items()
    ] + list(ShardedTable(root / "duplicate_clusters").shards)
    step = MatchTags(least_agreement=least)
    return [row for batch in step(*shards, counts=Counter()) for row in batch.to_pylist()]


def _three_posts(**changed: dict[str, Any]) -> dict[str, tuple[list[dict[str, Any]], pa.Schema]]:
    """Posts of a photo and a hat each, cropped and classified; `changed` are values of a picture since, by its role."""
    posts = []
    for post in (1, 2, 3):
        for role, data in (("photo", picture(post)), ("product", _hat(post))):
            row = picture_row(post, role, 0, data, product_id=None if role == "photo" else f"h{post}")
            posts.append(row | changed.get(role, {}) if post == 2 else row)
    crops = [crop_row(post, 0, "hat", 0.9, [10, 10, 80, 80]) for post in (1, 2, 3)]
    thumbnails = [thumbnail_row(post, 0, "hat", image_sha256=sha(_hat(post))) for post in (1, 2, 3)]
    return {"posts": (posts, POSTS), "crops": (crops, CROPS), "thumbnails": (thumbnails, THUMBNAILS)}


def _hat(post: int) -> bytes:
    return encode_jpeg(scene(post).crop((10, 10, 80, 80)).resize((210, 210)))


def _matched(tmp_path: Path, tables: dict[str, Any], *hashed: int) -> list[tuple[int, bool, bool]]:
    """Post, whether it pairs and whether its photo has a cluster, when pictures of some posts were hashed."""
    shards = [
        write_shard(tmp_path / name, "kream/000000", schema, [rows_to_batch(items, schema)], fingerprint=name)
        for name, (items, schema) in tables.items()
    ]
    pictures = [(decode(data), data, role) for post in hashed for data, role in
                ((picture(post), "photo"), (_hat(post), "product"))]  # fmt: skip
    _hash(tmp_path, pictures)
    shards += ShardedTable(tmp_path / "duplicate_clusters").shards
    found = [row for batch in MatchTags()(*shards, counts=Counter()) for row in batch.to_pylist()]
    return [(row["post_id"], row["kept"], row["photo_cluster_id"] is not None) for row in found]


def test_match_tags__posts_that_came_after_the_hashing_wait_for_their_clusters(tmp_path: Path) -> None:
    tables = _three_posts()
    assert _matched(tmp_path, tables, 1) == [(1, True, True)]
    assert _matched(tmp_path, tables, 1, 2, 3) == [(post, True, True) for post in (1, 2, 3)]


@pytest.mark.parametrize("role", ["photo", "product"])
@pytest.mark.parametrize("since", [{"position": 1}, {"bytes": picture(1), "sha256": sha(picture(1))}])
def test_match_tags__post_with_other_pictures_since_waits_for_its_crops(
    role: str, since: dict[str, Any], tmp_path: Path
) -> None:
    found = _matched(tmp_path, _three_posts(**{role: since}), 1, 2, 3)
    assert found == [(1, True, True), (3, True, True)]


def test_match_tags__the_same_photo_and_product_pair_once(tmp_path: Path) -> None:
    photo, hat = picture(1), _hat(1)
    tables = _three_posts(photo={"bytes": photo, "sha256": sha(photo)}, product={"bytes": hat, "sha256": sha(hat)})
    crops, thumbnails = tables["crops"][0], tables["thumbnails"][0]
    crops[1], thumbnails[1] = crops[0] | {"post_id": 2}, thumbnails[0] | {"post_id": 2}
    assert _matched(tmp_path, tables, 1, 3) == [(1, True, True), (2, False, True), (3, True, True)]


def test_match_tags__a_crop_that_was_dropped_pairs_nothing(tmp_path: Path) -> None:
    tables = _three_posts()
    tables["crops"][0][1] |= {"kept": False, "reason": "low_score", "bytes": None}
    assert _matched(tmp_path, tables, 1, 2, 3) == [(1, True, True), (2, False, False), (3, True, True)]
