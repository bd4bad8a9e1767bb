"""Pairs as the encoder reads them, in memory and streamed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID253

from curation.schemas import PAIRS
from curation.tables import rows_to_batch, write_shard
from models.encoder.data import PairPictures, StreamedPairs, first_of_each_product, read_keys
from models.errors import DataError
from tests.curation.builders import damage
from tests.models import toys


def write(root: Path, rows) -> Path:
    write_shard(root, "train-00000", PAIRS, [rows_to_batch(rows, PAIRS)], fingerprint="x")
    return root


def test_read_keys__products_by_cluster(tmp_path):
    rows = [toys.pair_row("top", product, post, "train") for product, post in ((1, 0), (2, 0), (1, 1))]
    rows[1] = {**rows[1], "product_cluster_id": "cluster-1"}  # the same product on another site
    keys = read_keys(write(tmp_path, rows), "train")
    assert keys.labels.tolist() == [0, 0, 0]


def test_read_keys__a_thumbnail_taken_anew_is_no_other_product(tmp_path):
    rows = [toys.pair_row("top", product, post, "train") for product, post in ((1, 0), (1, 1), (2, 0), (3, 0))]
    rows[1] = {**rows[1], "product_cluster_id": "cluster-anew"}
    rows[3] = {**rows[3], "product_cluster_id": "cluster-anew"}  # and another shop's entry shows the new one
    keys = read_keys(write(tmp_path, rows), "train")
    assert (keys.labels.tolist(), keys.products) == ([0, 0, 1, 0], ["cluster-1", "cluster-2"])


def test_read_keys__product_id_where_there_is_no_cluster(tmp_path):
    rows = [{**toys.pair_row("top", 1, post, "train"), "product_cluster_id": None} for post in (0, 1)]
    rows[1] = {**rows[1], "site": "onthelook"}
    assert read_keys(write(tmp_path, rows), "train").products == ["kream/1", "onthelook/1"]


def test_read_keys__no_product_at_all(tmp_path):
    row = {**toys.pair_row("top", 1, 0, "train"), "product_cluster_id": None, "product_id": None}
    with pytest.raises(DataError, match="kream/100"):
        read_keys(write(tmp_path, [row]), "train")


def test_read_keys__missing_split(tmp_path):
    with pytest.raises(DataError, match="validation"):
        read_keys(tmp_path, "validation")


def test_read_keys__category_without_pairs(pairs):
    with pytest.raises(DataError, match="umbrella"):
        read_keys(pairs, "train", ["umbrella"])


def test_pair_pictures__rows_of_the_chosen_category(pairs):
    pictures = PairPictures(read_keys(pairs, "train", ["hat"]), (32, 32))
    assert set(pictures.keys.categories) == {"hat"}
    assert len(pictures) == 18
    for positive in pictures.positives:  # a hat is drawn at the top of its thumbnail
        assert (positive[10:] == 255).mean() > 0.95
        assert (positive[:3, 13:18] != 255).any()


@pytest.fixture
def two_files(tmp_path):
    """Two files of two groups of rows each; a group has two pairs of a product, 0 to 3 by turns."""
    groups = [[toys.pair_row("hat", product, post, "train") for post in range(2)] for product in range(4)]
    for number in range(2):
        batches = [rows_to_batch(rows, PAIRS) for rows in groups[2 * number : 2 * number + 2]]
        write_shard(tmp_path, f"train-{number:05d}", PAIRS, batches, fingerprint="x")
    return tmp_path


@pytest.mark.parametrize("chosen", [[0, 2, 5, 7], [1], [6, 7], list(range(8))])
def test_pair_pictures__some_rows_of_many(two_files, chosen):
    keys = read_keys(two_files, "train")
    every = PairPictures(keys, (24, 24))
    some = PairPictures(replace(keys, rows=keys.rows[chosen], labels=keys.labels[chosen]), (24, 24))
    np.testing.assert_array_equal(some.anchors, every.anchors[chosen])
    np.testing.assert_array_equal(some.positives, every.positives[chosen])


def test_pair_pictures__groups_of_other_rows_are_not_read(two_files):
    keys = read_keys(two_files, "train")
    damage(keys.files[0], "anchor", [0])
    damage(keys.files[1], "anchor", [1])
    with pytest.raises(OSError, match="deserialize"):
        PairPictures(keys, (24, 24))
    assert len(PairPictures(replace(keys, rows=np.array([3, 4]), labels=keys.labels[3:5]), (24, 24))) == 2


def test_pair_pictures__no_file_is_opened_in_vain(two_files):
    keys = read_keys(two_files, "train")
    keys.files[1].unlink()
    assert len(PairPictures(replace(keys, rows=keys.rows[:3], labels=keys.labels[:3]), (24, 24))) == 3
    keys.files[0].unlink()
    assert len(PairPictures(first_of_each_product(keys, 0), (24, 24))) == 0


def test_streamed_pairs__equal_those_in_memory(pairs, tmp_path):
    keys = read_keys(pairs, "train", ["bag", "shoes"])
    memory, stream = PairPictures(keys, (24, 24)), StreamedPairs(keys, (24, 24), cache_dir=str(tmp_path))
    assert len(memory) == len(stream)
    rows = [len(keys) - 1, 0, 7]
    for first, second in zip(memory.batch(rows), stream.batch(rows), strict=True):
        assert first.dtype == second.dtype
        assert torch.equal(first, second)


def test_streamed_pairs__thumbnails_without_a_look_at_the_crops(tmp_path):
    rows = [toys.pair_row("hat", product, 0, "train") for product in range(4)]
    memory = PairPictures(read_keys(write(tmp_path / "whole", rows), "train"), (24, 24))
    rows = [{**row, "anchor": {"bytes": b"no picture", "path": None}} for row in rows]
    keys = read_keys(write(tmp_path / "broken", rows), "train")
    stream = StreamedPairs(keys, (24, 24), cache_dir=str(tmp_path / "cache"))
    chosen = np.array([3, 0, 2])
    found = stream.thumbnails(chosen)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, memory.positives[chosen])
    np.testing.assert_array_equal(found, memory.thumbnails(chosen))
