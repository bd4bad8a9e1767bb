"""Splits: nothing leaks, nothing moves but towards train, giants train, every category is held out alike."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.splits import SplitShares, assign_splits, crossing_keys
from curation.taxonomy import SPLITS

KEYS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 25)).map(
    lambda row: [f"post:{row[0]}", f"product:{row[1]}", f"photo:{row[2]}"]
)
DATA = st.lists(KEYS, min_size=1, max_size=80)


def _rows(groups: int, size: int, tag: str = "") -> list[list[str]]:
    return [[f"post:{tag}{group}/{i}", f"product:{tag}{group}"] for group in range(groups) for i in range(size)]


def test_assign_splits__shares_of_small_groups() -> None:
    splits = assign_splits(_rows(400, 2), SplitShares(validation=0.2, test=0.3))
    assert Counter(splits) == {"train": 400, "validation": 160, "test": 240}


def test_assign_splits__small_groups_fill_what_large_ones_leave() -> None:
    splits = assign_splits([*_rows(60, 1), *_rows(5, 8, "large")])
    assert Counter(splits) == {"train": 70, "validation": 10, "test": 20}


def test_assign_splits__every_category_has_its_share() -> None:
    rng = np.random.default_rng(5)
    rows = [[f"product:{rng.integers(300)}"] for _ in range(2000)]
    kinds = ["hat" if int(row[0].split(":")[1]) < 15 else "top" for row in rows]  # one category is rare
    splits = assign_splits(rows, categories=kinds)
    for kind in ("hat", "top"):
        held = Counter(split for split, name in zip(splits, kinds, strict=True) if name == kind)
        shares = [held[split] / kinds.count(kind) for split in SPLITS]
        np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.05 if kind == "hat" else 0.01)


def test_assign_splits__never_leaks_through_any_chain() -> None:
    rng = np.random.default_rng(3)
    rows = [
        [f"post:{rng.integers(300)}", f"product:{rng.integers(2000)}", f"photo:{rng.integers(2000)}"]
        for _ in range(400)
    ]
    splits = assign_splits(rows)
    assert crossing_keys(rows, splits) == set()
    assert len(set(splits)) == 3


def test_assign_splits__giant_group_trains() -> None:
    rows = [[f"post:{i}", "product:bestseller"] for i in range(100)] + _rows(300, 1)
    splits = assign_splits(rows)
    assert set(splits[:100]) == {"train"}
    assert Counter(splits[100:]) == {"train": 210, "validation": 30, "test": 60}  # shares are of the small groups


def test_assign_splits__ties_hold_rows_together_that_share_nothing() -> None:
    rows = _rows(300, 1)
    ties = [[rows[i][0], rows[i + 1][0]] for i in range(0, 300, 2)]
    splits = assign_splits(rows, ties=ties)
    assert splits[0::2] == splits[1::2]


def test_assign_splits__a_split_without_a_share_gets_nothing() -> None:
    assert set(assign_splits(_rows(50, 3), SplitShares(validation=0, test=0))) == {"train"}
    assert set(assign_splits(_rows(61, 1), SplitShares(validation=0.5, test=0.5))) == {"validation", "test"}


def test_assign_splits__a_test_group_that_meets_a_train_group_trains() -> None:
    rows = [["post:1"], ["post:2"], *_rows(60, 1)]
    known = ([["post:1"], ["post:2"]], ["test", "train"])
    merged = assign_splits([*rows, ["post:1", "post:2"]], known=known)
    assert assign_splits(rows, known=known)[:2] == ["test", "train"]
    assert (merged[0], merged[1], merged[-1]) == ("train", "train", "train")


@settings(max_examples=60, deadline=None)
@given(DATA, DATA)
def test_assign_splits__growth_moves_a_row_only_towards_train(before: list[list[str]], more: list[list[str]]) -> None:
    old = assign_splits(before)
    new = assign_splits(before + more, known=(before, old))
    assert crossing_keys(before + more, new) == set()
    assert all(SPLITS.index(now) <= SPLITS.index(then) for now, then in zip(new, old, strict=False))


@settings(max_examples=60, deadline=None)
@given(DATA, st.integers(1, 200))
def test_assign_splits__growth_that_touches_no_group_moves_nothing(before: list[list[str]], count: int) -> None:
    old = assign_splits(before)
    assert assign_splits(before + _rows(count, 2, "new"), known=(before, old))[: len(before)] == old


@settings(max_examples=60, deadline=None)
@given(DATA, st.randoms(use_true_random=False))
def test_assign_splits__order_does_not_matter(rows: list[list[str]], random) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    plain = assign_splits(rows)
    assert assign_splits([rows[i] for i in order]) == [plain[i] for i in order]


def test_crossing_keys__finds_a_leak() -> None:
    assert crossing_keys([["a", "b"], ["b", "c"]], ["train", "test"]) == {"b"}
