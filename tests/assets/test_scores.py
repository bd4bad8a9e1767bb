"""What is measured by a hand-made truth: found boxes, and which garments of the test posts are searched for."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from assets.resources import SandboxSites
from assets.scores import annotated_photos, as_answered, detector_scores
from curation.images import encode_jpeg
from curation.schemas import CROPS, PAIRS, POSTS
from curation.tables import ShardedTable, rows_to_batch, write_shard
from models.boxes import Detection
from sandbox.score import Judge
from search.query import MAX_GARMENTS
from tests.curation.builders import crop_row, picture, picture_row
from tests.models import toys
from tests.search.builders import FixedDetector

KNOWN = {("kream", str(number)): f"label-{number}" for number in (7, 8)}


def _box(post: int, product: int | None, visible: float = 1.0) -> dict[str, object]:
    place = {"site": "kream", "post_id": post, "position": 0, "person": "main", "category": "top"}
    return {**place, "product_id": product, "box": [0.0, 0.0, 50.0, 60.0], "visible": visible}


def _products() -> pa.Table:
    return pa.Table.from_pylist([{"kream_id": str(n), "onthelook_id": f"o{n}", "product_id": n} for n in (7, 8, 9)])


@pytest.fixture
def judge() -> Judge:
    boxes = [_box(0, 7), _box(0, 8, visible=0.2), _box(0, 9), _box(0, None), _box(1, 7), _box(2, 7), _box(3, 7)]
    return Judge({"products": _products(), "boxes": pa.Table.from_pylist(boxes)})


def test_detector_scores__a_photo_that_was_crawled_since_counts_next_time(tmp_path: Path) -> None:
    pq.write_table(_products(), tmp_path / "products.parquet")
    pq.write_table(pa.Table.from_pylist([_box(0, 7), _box(1, 8)]), tmp_path / "boxes.parquet")
    photos = [picture_row(post, "photo", 0, picture(post), width=240, height=300) for post in (0, 1)]
    write_shard(tmp_path / "posts", "kream/000000", POSTS, [rows_to_batch(photos, POSTS)], fingerprint="x")
    crops = [crop_row(0, 0, "top", 0.9, [0.0, 0.0, 50.0, 60.0])]
    write_shard(tmp_path / "crops", "kream/000000", CROPS, [rows_to_batch(crops, CROPS)], fingerprint="x")
    sites = SandboxSites(name="drawn", seed=1, posts=2, port=1, block_size=1)
    measured = detector_scores(
        sites, tmp_path, tmp_path, ShardedTable(tmp_path / "crops"), ShardedTable(tmp_path / "posts")
    )
    assert measured["detector_ap50"] == pytest.approx(1.0)


def test_as_answered__no_sliver_no_double_and_of_a_crowd_the_surest() -> None:
    class Crowd(FixedDetector):
        def detect(self, images: Sequence[Image.Image], threshold: float) -> list[list[Detection]]:
            sliver = Detection("outer", 0.99, (0.0, 100.0, 7.0, 300.0))
            people = [Detection("hat", 0.5 + at / 100, (20.0 * at, 0.0, 20.0 * at + 10, 10.0)) for at in range(15)]
            double = Detection("bag", 0.635, people[-1].box)
            return [[sliver, *people, double]] * len(images)

    (found,) = as_answered(Crowd(), [Image.new("RGB", (300, 400))])
    assert [item.box[0] for item in found] == [20.0 * at for at in reversed(range(15 - MAX_GARMENTS, 15))]


def test_annotated_photos__visible_garments_of_test_products(tmp_path: Path, judge: Judge) -> None:
    photo = encode_jpeg(toys.person(1)[0])
    pictures = [("photo", photo), ("photo", photo), ("photo", photo[:100]), ("product", photo)]
    posts = toys.posts_table(tmp_path / "posts", pictures)
    pairs = [{**toys.pair_row("top", 7, 0, "test"), "post_id": post, "product_id": "7"} for post in (0, 2, 3)]
    pairs.append({**toys.pair_row("top", 8, 0, "test"), "post_id": 0, "product_id": "8"})
    write_shard(tmp_path / "pairs", "test-00000", PAIRS, [rows_to_batch(pairs, PAIRS)], fingerprint="x")
    (found,) = annotated_photos(judge, tmp_path / "pairs", posts, KNOWN)  # 1 is no test post, 2 broken, 3 a thumbnail
    (worn,) = found.worn  # 8 is hidden, 9 was never paired, and a bystander shows nobody's product
    assert (worn.product, worn.category, worn.box) == ("label-7", "top", (0.0, 0.0, 50.0, 60.0))
    assert found.image.size == (160, 200)


def test_annotated_photos__product_that_the_catalog_lacks(tmp_path: Path, judge: Judge) -> None:
    posts = toys.posts_table(tmp_path / "posts", [("photo", encode_jpeg(toys.person(1)[0]))])
    row = {**toys.pair_row("top", 7, 0, "test"), "post_id": 0, "product_id": "7"}
    write_shard(tmp_path / "pairs", "test-00000", PAIRS, [rows_to_batch([row], PAIRS)], fingerprint="x")
    assert list(annotated_photos(judge, tmp_path / "pairs", ShardedTable(posts.root), {})) == []
