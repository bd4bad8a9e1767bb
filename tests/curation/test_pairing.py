"""Pairing: every tagged product leaves with pairs or with reasons."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curation.dedup import DuplicateIndex
from curation.hashing import describe
from curation.images import encode_jpeg
from curation.pairing import PairCandidates, PairingRules, pair_post, usable_crops
from curation.schemas import CLUSTERS, CROPS, POSTS, THUMBNAILS
from curation.tables import ShardedTable, rows_to_batch, write_shard
from tests.curation.builders import crop_row, picture_row, scene, sha, thumbnail_row, write_hashes

RULES = PairingRules()
PRIOR = PairingRules(dominance=0.0, least_agreement=0.0, least_verification=0.0)


def _crop(category: str, score: float, side: float) -> dict[str, Any]:
    return {"category": category, "score": score, "box": [0, 0, side, side]}


def test_usable_crops__two_shoes_are_fine_three_are_not() -> None:
    best, ambiguous = usable_crops([_crop("shoes", 0.6, 30), _crop("shoes", 0.9, 32)], PRIOR)
    assert best["shoes"]["score"] == 0.9
    assert not ambiguous
    assert usable_crops([_crop("shoes", 0.9, 30)] * 3, PRIOR) == ({}, {"shoes"})


def test_usable_crops__small_background_box_is_ignored_unless_prior_rule() -> None:
    crops = [_crop("top", 0.8, 100), _crop("top", 0.95, 30)]
    assert usable_crops(crops, RULES)[0]["top"]["score"] == 0.8
    assert usable_crops(crops, PRIOR) == ({}, {"top"})


@pytest.mark.parametrize(
    ("photos", "tags", "reposts", "reasons"),
    [
        ({0: [_crop("top", 0.9, 50)]}, ["top"], set(), [None]),
        ({0: [_crop("top", 0.9, 50)]}, ["top", "hat"], set(), [None, "no_box_of_category"]),
        ({0: [_crop("top", 0.9, 50)]}, ["top", "top"], set(), ["ambiguous_tags"] * 2),
        ({0: [_crop("top", 0.9, 50)] * 2}, ["top"], set(), ["ambiguous_boxes"]),
        ({0: [_crop("top", 0.9, 50)]}, ["top"], {0}, ["repost"]),
        ({0: [_crop("top", 0.9, 50)] * 2, 1: [_crop("top", 0.7, 50)]}, ["top"], set(), [None]),
        ({}, ["top"], set(), ["no_box_of_category"]),
        ({0: [_crop("top", 0.7, 50)], 1: [_crop("top", 0.9, 50)]}, ["top"], set(), [None, None]),
        ({0: [_crop("top", 0.7, 50)], 1: [_crop("top", 0.9, 50)]}, ["top"], {1}, [None]),
    ],
)
def test_pair_post__reason(photos: Any, tags: list[str], reposts: set[int], reasons: list[str | None]) -> None:
    thumbnails = [{"category": tag, "kept": True} for tag in tags]
    assert [reason for _, _, reason in pair_post(photos, thumbnails, reposts, RULES)] == reasons


def test_pair_post__every_photo_that_shows_it_surest_first() -> None:
    photos = {0: [_crop("top", 0.7, 50)], 1: [_crop("hat", 0.9, 50)], 2: [_crop("top", 0.8, 50)]}
    pairs = list(pair_post(photos, [{"category": "top", "kept": True}], set(), RULES))
    assert [crop and crop["score"] for _, crop, _ in pairs] == [0.8, 0.7]


def test_pair_post__dropped_thumbnail_does_not_make_its_class_ambiguous() -> None:
    thumbnails = [{"category": "top", "kept": True}, {"category": "top", "kept": False}]
    found = [reason for _, _, reason in pair_post({0: [_crop("top", 0.9, 50)]}, thumbnails, set(), RULES)]
    assert found == [None, "thumbnail_dropped"]


_HAT = scene(1).crop((10, 10, 80, 80)).resize((210, 210))
"""A thumbnail in the colours of what post 1 shows."""


def _shards(tmp_path: Path) -> list[Any]:
    """Post 1 pairs, post 2 reposts its photo, post 3 has no crops at all, post 4 has a broken thumbnail."""
    photo, hat = encode_jpeg(scene(1)), encode_jpeg(_HAT)
    repost = encode_jpeg(scene(1), quality=60)
    posts = [
        picture_row(1, "photo", 0, photo),
        picture_row(1, "product", 0, hat, product_id="h1"),
        picture_row(2, "photo", 0, repost),
        picture_row(2, "product", 0, hat, product_id="h1"),
        picture_row(3, "photo", 0, encode_jpeg(scene(3))),
        picture_row(3, "product", 0, hat, product_id="h1"),
        picture_row(4, "photo", 0, encode_jpeg(scene(4))),
        picture_row(4, "product", 0, None, product_id="h2"),
    ]
    crops = [crop_row(post, 0, "hat", 0.9, [10, 10, 80, 80]) for post in (1, 2, 4)]
    thumbnails = [thumbnail_row(post, 0, "hat", product_id="h1") for post in (1, 2, 3)]
    thumbnails.append(thumbnail_row(4, 0, None, kept=False, reason="bad_image", probability=None))
    hashes = [
        {
            **describe(image),
            "sha256": sha(data),
            "role": role,
            "site": "kream",
            "post_id": n,
            "position": 0,
            "product_id": None,
        }
        for n, (image, data, role) in enumerate(
            [(scene(1), photo, "photo"), (scene(1), repost, "photo"), (_HAT, hat, "product")]
        )
    ]
    write_hashes(tmp_path, "kream/000000", hashes)
    DuplicateIndex(tmp_path).update()
    tables = {"posts": (posts, POSTS), "crops": (crops, CROPS), "thumbnails": (thumbnails, THUMBNAILS)}
    return [
        write_shard(tmp_path / name, "kream/000000", schema, [rows_to_batch(rows, schema)], fingerprint=name)
        for name, (rows, schema) in tables.items()
    ]


def test_pair_candidates__each_tag_has_one_outcome_and_provenance(tmp_path: Path) -> None:
    shards = _shards(tmp_path)
    step = PairCandidates(
        str(tmp_path / "duplicate_clusters"), ShardedTable(tmp_path / "duplicate_clusters").fingerprint
    )
    counts: Counter[str] = Counter()
    rows = [row for batch in step(*shards, counts=counts) for row in batch.to_pylist()]
    assert [row["reason"] for row in rows] == [None, "repost", "no_box_of_category", "thumbnail_dropped"]
    assert counts == {"kept": 1, "repost": 1, "no_box_of_category": 1, "thumbnail_dropped": 1}
    pair = rows[0]
    assert pair["anchor_bytes"]
    assert pair["positive_sha256"] == sha(pair["positive_bytes"])
    assert 0.81 * RULES.least_agreement < pair["verification_score"] <= 0.81
    assert (pair["detector_version"], pair["classifier_version"], pair["box"]) == ("d1", "c1", [10, 10, 80, 80])
    assert all(row["anchor_bytes"] is None for row in rows[1:])


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({}, "colours_differ"),
        ({"least_agreement": 0.0}, "doubtful"),
        ({"least_agreement": 0.0, "least_verification": 0.0}, None),
    ],
)
def test_pair_candidates__tag_of_another_colour(tmp_path: Path, rules: dict[str, float], reason: str | None) -> None:
    red, blue = (encode_jpeg(Image.new("RGB", (210, 210), colour)) for colour in ("firebrick", "navy"))
    rows = {
        "posts": ([picture_row(1, "photo", 0, red), picture_row(1, "product", 0, blue, product_id="h1")], POSTS),
        "crops": ([crop_row(1, 0, "hat", 0.9, [10, 10, 80, 80], bytes=red)], CROPS),
        "thumbnails": ([thumbnail_row(1, 0, "hat", product_id="h1")], THUMBNAILS),
        "clusters": ([], CLUSTERS),
    }
    shards = [
        write_shard(tmp_path / name, "kream/000000", schema, [rows_to_batch(items, schema)], fingerprint=name)
        for name, (items, schema) in rows.items()
    ]
    step = PairCandidates(str(tmp_path / "clusters"), "c", **rules)
    (pair,) = [row for batch in step(*shards[:3], counts=Counter()) for row in batch.to_pylist()]
    assert (pair["reason"], pair["kept"]) == (reason, reason is None)
    assert (pair["anchor_bytes"] is None) == (reason is not None)
