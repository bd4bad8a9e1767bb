"""Splits: nothing leaks, nothing moves, giants train."""

import numpy as np

from curation.splits import SplitShares, assign_splits, crossing_keys


def _rows(groups: int, size: int, tag: str = "") -> list[list[str]]:
    return [[f"post:{tag}{group}/{i}", f"product:{tag}{group}"] for group in range(groups) for i in range(size)]


def test_assign_splits__shares_of_small_groups() -> None:
    splits = assign_splits(_rows(4000, 2), SplitShares(validation=0.2, test=0.3))
    shares = {name: splits.count(name) / len(splits) for name in ("train", "validation", "test")}
    np.testing.assert_allclose([shares["train"], shares["validation"], shares["test"]], [0.5, 0.2, 0.3], atol=0.03)


def test_assign_splits__never_leaks_through_any_chain() -> None:
    rng = np.random.default_rng(3)
    rows = [
        [f"post:{rng.integers(300)}", f"product:{rng.integers(2000)}", f"photo:{rng.integers(2000)}"]
        for _ in range(400)
    ]
    splits = assign_splits(rows)
    assert crossing_keys(rows, splits) == set()
    assert len(set(splits)) > 1


def test_assign_splits__giant_group_trains() -> None:
    rows = [[f"post:{i}", "product:bestseller"] for i in range(100)] + _rows(300, 1)
    assert set(assign_splits(rows)[:100]) == {"train"}


def test_assign_splits__growth_moves_nothing() -> None:
    before = _rows(500, 2)
    after = before + _rows(500, 2, "new")
    assert assign_splits(after)[: len(before)] == assign_splits(before)


def test_assign_splits__order_does_not_matter() -> None:
    rows = _rows(200, 3)
    order = np.random.default_rng(1).permutation(len(rows))
    plain = assign_splits(rows)
    assert assign_splits([rows[i] for i in order]) == [plain[i] for i in order]


def test_crossing_keys__finds_a_leak() -> None:
    assert crossing_keys([["a", "b"], ["b", "c"]], ["train", "test"]) == {"b"}
