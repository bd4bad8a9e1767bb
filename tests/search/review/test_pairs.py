"""Pairs as a reviewer sees them: which there are, and where the box is drawn."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from curation.anchor_cloth import import_anchor_cloth
from curation.images import encode_jpeg
from search.review import ReviewQueue
from search.review.pairs import Doubt, PairPictures, in_order, in_rough_order
from search.review.queue import Progress
from tests.curation.builders import candidate_row, picture, picture_row, sha
from tests.curation.data_folder import write_table
from tests.curation.test_anchor_cloth import write
from tests.search.review.conftest import prepared


def test_in_rough_order__the_pairs_that_are_then_put_in_order(data: Path) -> None:
    rough, exact = in_rough_order(data / "pair_dataset"), in_order(data, data / "pair_dataset")
    assert {pair.id for pair in rough} == {pair.id for pair in exact or ()}


def test_in_rough_order__pairs_that_came_ready_made_are_none(tmp_path: Path) -> None:
    for seed, side in enumerate(("anchors", "cloths")):
        write(tmp_path / "archive" / "dress_dataset", side, 8, seed=500 * seed)
    import_anchor_cloth(tmp_path / "archive", tmp_path / "data")
    assert in_rough_order(tmp_path / "data" / "pair_dataset") == []
    queue = prepared(ReviewQueue(tmp_path / "data"))
    assert (queue.next("ann", 1), queue.progress()) == ([], Progress(0, 0, 0, 0))


def test_photo__box_of_a_narrow_photo(tmp_path: Path) -> None:
    photo, thumbnail = encode_jpeg(Image.new("RGB", (200, 39_000), (128, 128, 128))), picture(1)
    rows = [picture_row(1, "photo", 0, photo), picture_row(1, "product", 0, thumbnail)]
    write_table(tmp_path / "posts", "000000", rows)
    said = candidate_row(1, box=(0, 35_000, 200, 38_000), anchor_sha256=sha(photo), positive_sha256=sha(thumbnail))
    pair = Doubt(id="1", noise=0.5, **{name: said[name] for name in Doubt.__slots__ if name not in ("id", "noise")})
    shown = np.asarray(Image.open(io.BytesIO(PairPictures(tmp_path / "posts").photo(pair))), np.int16)
    coloured = np.flatnonzero((shown.max(axis=2) - shown.min(axis=2)).max(axis=1) > 40)
    assert shown.shape[:2] == (1024, 5)
    assert np.allclose([coloured[0], coloured[-1]], [35_000 / 39_000 * 1024, 38_000 / 39_000 * 1024], atol=4)
