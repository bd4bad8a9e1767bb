"""Pairs as the encoder reads them, in memory and streamed."""

from pathlib import Path

import pytest
import torch  # noqa: TID253

from curation.schemas import PAIRS
from curation.tables import rows_to_batch, write_shard
from models.encoder.data import PairPictures, StreamedPairs, read_keys
from models.errors import DataError
from tests.models import toys


def write(root: Path, rows) -> Path:
    write_shard(root, "train-00000", PAIRS, [rows_to_batch(rows, PAIRS)], fingerprint="x")
    return root


def test_read_keys__products_by_cluster(tmp_path):
    rows = [toys.pair_row("top", product, post, "train") for product, post in ((1, 0), (2, 0), (1, 1))]
    rows[1] = {**rows[1], "product_cluster_id": "cluster-1"}  # the same product on another site
    keys = read_keys(write(tmp_path, rows), "train")
    assert keys.labels.tolist() == [0, 0, 0]


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


def test_streamed_pairs__equal_those_in_memory(pairs, tmp_path):
    keys = read_keys(pairs, "train", ["bag", "shoes"])
    memory, stream = PairPictures(keys, (24, 24)), StreamedPairs(keys, (24, 24), str(tmp_path))
    assert len(memory) == len(stream)
    for index in (0, 7, len(keys) - 1):
        for first, second in zip(memory[index], stream[index], strict=True):
            assert torch.equal(torch.as_tensor(first), torch.as_tensor(second))
