"""Batches of pairs: which rows they are made of."""

import itertools

import numpy as np
import pytest
import torch  # noqa: TID253

from models.config import make_config
from models.encoder.batches import PairBatches, TrainingBatches, nearest
from models.encoder.config import EncoderConfig
from models.encoder.data import read_keys
from models.errors import DataError
from models.presets import preset
from models.ranks import Ranks
from tests.models import toys
from tests.models.encoder.test_data import write


def no_vectors(pixels):
    raise AssertionError("nothing is mined")


def drawn(batches, steps):
    return [batches.rows(step) for step in range(steps)]


@pytest.mark.parametrize("in_memory", [True, False])
def test_training_batches__shapes(pairs, tmp_path, in_memory):
    values = preset("encoder", "tiny", in_memory=in_memory, cache_dir=str(tmp_path), batch=8)
    config = make_config(EncoderConfig, values)
    batches = TrainingBatches(read_keys(pairs, "train"), config, (20, 20), no_vectors)
    anchors, positives, labels = next(batches.starting(0))
    assert anchors.shape == positives.shape == (8, 20, 20, 3)
    assert anchors.dtype == torch.uint8
    assert labels.shape == (8,)


def test_training_batches__look_alikes_are_sought_among_thumbnails_alone(tmp_path):
    rows = [toys.pair_row("hat", product, 0, "train") for product in range(3)]
    rows = [{**row, "anchor": {"bytes": b"no picture", "path": None}} for row in rows]
    values = preset("encoder", "tiny", in_memory=False, cache_dir=str(tmp_path), batch=2, hard_negatives=0.5)
    config, seen = make_config(EncoderConfig, values), []

    def embed(pixels):
        seen.append(pixels.shape)
        return np.eye(len(pixels), 4, dtype=np.float32)

    batches = TrainingBatches(read_keys(write(tmp_path / "pairs", rows), "train"), config, (20, 20), embed)
    assert batches._thumbnail_vectors().shape == (3, 4)
    assert seen == [(3, 20, 20, 3)]


def test_pair_batches__no_row_twice_where_a_product_must_come_twice(tmp_path):
    rows = [
        toys.pair_row("hat", product, post, "train") for product, posts in ((0, 1), (1, 3)) for post in range(posts)
    ]
    batches = PairBatches(read_keys(write(tmp_path, rows), "train"), 4, 0.0, 0)
    assert [sorted(own) for own in drawn(batches, 5)] == [[0, 1, 2, 3]] * 5


def test_pair_batches__no_product_twice_and_rows_take_turns(pairs):
    keys = read_keys(pairs, "train")
    batches = drawn(PairBatches(keys, 42, 0.0, 0), 3)
    for rows in batches:
        assert sorted(keys.labels[rows]) == list(range(42))
    assert sorted(row for rows in batches for row in rows) == list(range(len(keys)))


@pytest.mark.parametrize(("batch", "same_category"), [(2, 0.0), (8, 1.0)])
def test_pair_batches__fewer_rows_than_processes(tmp_path, batch, same_category):
    rows = [toys.pair_row(category, 0, post, "train") for category in ("top", "hat") for post in range(2)]
    keys = read_keys(write(tmp_path, rows), "train")
    with pytest.raises(DataError, match="3 processes cannot share batches of 2 pairs"):
        PairBatches(keys, batch, same_category, 0, Ranks(0, 3))


def test_pair_batches__popular_products_come_no_more_often(tmp_path):
    rows = [toys.pair_row("top", product, post, "train") for product in range(4) for post in range(1 + 5 * product)]
    keys = read_keys(write(tmp_path, rows), "train")
    labels = np.concatenate([keys.labels[rows] for rows in drawn(PairBatches(keys, 2, 0.0, 0), 400)])
    assert np.bincount(labels).min() > 0.8 * np.bincount(labels).max()


def test_pair_batches__one_category(pairs):
    keys = read_keys(pairs, "train")
    batches = drawn(PairBatches(keys, 5, 1.0, 0), 50)
    assert all(len(set(keys.categories[rows])) == 1 for rows in batches)
    assert len({str(keys.categories[rows[0]]) for rows in batches}) == 7
    assert all(len(set(keys.labels[rows])) == 5 for rows in batches)


@pytest.mark.parametrize(("batch", "size"), [(8, 8), (18, 18), (100, 18)])
def test_pair_batches__more_rows_than_products(pairs, batch, size):
    keys = read_keys(pairs, "train", ["hat"])  # six products of three rows
    rows = PairBatches(keys, batch, 1.0, 0).rows(0)
    assert len(rows) == len(set(rows)) == size
    assert len(set(keys.labels[rows])) == 6


def test_pair_batches__same_seed_same_order(pairs):
    keys = read_keys(pairs, "train")
    first, second, other = (drawn(PairBatches(keys, 8, 0.5, seed), 9) for seed in (1, 1, 2))
    assert first == second != other
    assert np.array(first).shape == (9, 8)


def test_pair_batches__rows_as_they_come(pairs):
    keys = read_keys(pairs, "train")
    rows = PairBatches(keys, 60, 0.0, 0, distinct=False).rows(0)
    assert len(set(rows)) == 60
    assert len(set(keys.labels[rows])) < 42  # of 42 products some are there twice, others not at all


def test_pair_batches__processes_share_the_batches_of_one(pairs):
    keys = read_keys(pairs, "train")
    alone, first, second = (
        drawn(PairBatches(keys, 9, 0.5, 1, ranks), 5) for ranks in (Ranks(), Ranks(0, 2), Ranks(1, 2))
    )
    for whole, *shares in zip(alone, first, second, strict=True):
        assert sorted(itertools.chain(*shares)) == sorted(whole[:8])


def test_pair_batches__hard_ones_are_look_alikes(pairs):
    keys = read_keys(pairs, "train")
    sampler = PairBatches(keys, 4, 0.0, 0, hard=1.0)
    vectors = np.eye(len(keys.products), dtype=np.float32)
    hats = np.flatnonzero(sampler.categories == "hat")
    vectors[hats] = vectors[hats[0]]
    sampler.mine(vectors)
    batches = drawn(sampler, 60)
    with_hat = [keys.categories[rows] for rows in batches if keys.categories[rows[0]] == "hat"]
    assert with_hat
    assert all((categories == "hat").all() for categories in with_hat)
    assert all(len(set(keys.labels[rows])) == 4 for rows in batches)


def test_nearest__equals_sorting_all():
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(40, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    categories = np.array(["top"] * 36 + ["hat"] * 3 + ["bag"])
    found = nearest(vectors, categories, 4)
    for row in range(40):
        own = [other for other in np.argsort(-vectors @ vectors[row]) if categories[other] == categories[row]]
        expected = [other for other in own if other != row][:4]
        assert found[row].tolist() == expected + [-1] * (4 - len(expected))
