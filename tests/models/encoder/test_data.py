"""Pairs as the encoder reads them, in memory and streamed."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID253

from curation.schemas import PAIRS
from curation.tables import rows_to_batch, write_shard
from models.config import make_config
from models.encoder.config import EncoderConfig
from models.encoder.data import PairBatches, PairPictures, StreamedPairs, read_keys, training_batches
from models.errors import DataError
from models.presets import preset
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


@pytest.mark.parametrize("in_memory", [True, False])
def test_training_batches__shapes(pairs, tmp_path, in_memory):
    values = preset("encoder", "tiny", in_memory=in_memory, cache_dir=str(tmp_path), batch=8)
    config = make_config(EncoderConfig, values)
    anchors, positives, labels = next(training_batches(read_keys(pairs, "train"), config, (20, 20)))
    assert anchors.shape == positives.shape == (8, 20, 20, 3)
    assert anchors.dtype == torch.uint8
    assert labels.shape == (8,)


def test_pair_batches__no_product_twice_and_rows_take_turns(pairs):
    keys = read_keys(pairs, "train")
    batches = list(itertools.islice(PairBatches(keys, 42, 0.0, 0), 3))
    for rows in batches:
        assert sorted(keys.labels[rows]) == list(range(42))
    assert sorted(row for rows in batches for row in rows) == list(range(len(keys)))


def test_pair_batches__popular_products_come_no_more_often(tmp_path):
    rows = [toys.pair_row("top", product, post, "train") for product in range(4) for post in range(1 + 5 * product)]
    keys = read_keys(write(tmp_path, rows), "train")
    drawn = np.concatenate([keys.labels[rows] for rows in itertools.islice(PairBatches(keys, 2, 0.0, 0), 400)])
    assert np.bincount(drawn).min() > 0.8 * np.bincount(drawn).max()


def test_pair_batches__one_category(pairs):
    keys = read_keys(pairs, "train")
    batches = list(itertools.islice(PairBatches(keys, 5, 1.0, 0), 50))
    assert all(len(set(keys.categories[rows])) == 1 for rows in batches)
    assert len({str(keys.categories[rows[0]]) for rows in batches}) == 7
    assert all(len(set(keys.labels[rows])) == 5 for rows in batches)


@pytest.mark.parametrize(("batch", "size"), [(8, 8), (18, 18), (100, 18)])
def test_pair_batches__more_rows_than_products(pairs, batch, size):
    keys = read_keys(pairs, "train", ["hat"])  # six products of three rows
    rows = next(iter(PairBatches(keys, batch, 1.0, 0)))
    assert len(rows) == len(set(rows)) == size
    assert len(set(keys.labels[rows])) == 6


def test_pair_batches__same_seed_same_order(pairs):
    keys = read_keys(pairs, "train")
    first, second, other = (list(itertools.islice(PairBatches(keys, 8, 0.5, seed), 9)) for seed in (1, 1, 2))
    assert first == second != other
    assert np.array(first).shape == (9, 8)
