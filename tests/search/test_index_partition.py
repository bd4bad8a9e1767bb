"""Large categories: inverted lists, re-ranking, filters, and recall for queries of every kind."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.vectors import NAMES, Catalog, as_table, made_up
from search.errors import IndexBuildError
from search.index import Filters, Index, IndexConfig, build_index, delete_products
from search.index.partition import Partition, read_partition, write_partition
from search.index.recall import Truth

SMALL = IndexConfig(exact_limit=300)
COUNT = 7_000


@cache
def _catalog() -> Catalog:
    return made_up(COUNT, dim=32, queries=200)


@pytest.fixture(scope="module", params=[0, 10**9], ids=["int8", "float32"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("large")
    config = SMALL.model_copy(update={"int8_from": request.param})
    build_index(as_table(_catalog(), folder / "rows"), folder / "index", "made-up", config=config)
    return Index.open(folder / "index")


def _exact(query: np.ndarray, rows: np.ndarray, top: int) -> np.ndarray:
    return rows[np.argsort(-(_catalog().vectors[rows] @ query), kind="stable")[:top]]


def _found(index: Index, filters: Filters, keep: np.ndarray, shift: int = 0) -> float:
    """Share of the exact top ten, over the queries, each in its own category or `shift` places further."""
    catalog, right = _catalog(), 0
    for query, own in zip(catalog.queries, catalog.own, strict=True):
        category = (own + shift) % len(NAMES)
        rows = np.flatnonzero((catalog.categories == category) & keep)
        hits = index.search(query, NAMES[category], 10, filters)
        right += len({int(hit.product.product_id) for hit in hits} & set(_exact(query, rows, 10).tolist()))
    return right / (10 * len(catalog.queries))


@pytest.mark.parametrize("shift", [0, 3])
def test_search__keeps_its_promise(index: Index, shift: int) -> None:
    assert index.manifest.lowest_recall >= 0.99
    assert _found(index, Filters(), np.ones(COUNT, bool), shift) >= 0.98  # other queries than it was measured with


@pytest.mark.parametrize(("most", "shift"), [(105_000, 0), (30_000, 0), (30_000, 2), (11_000, 0)])
def test_search__filters_of_any_width(index: Index, most: int, shift: int) -> None:
    prices = 10_000 + 1_000 * (np.arange(COUNT) % 190)
    assert _found(index, Filters(max_price=most), prices <= most, shift) >= 0.98


def test_search__scores_are_exact(index: Index) -> None:
    catalog = _catalog()
    for query, own in zip(catalog.queries[:20], catalog.own, strict=False):
        hits = index.search(query, NAMES[own], 10)
        true = catalog.vectors[[int(hit.product.product_id) for hit in hits]] @ query
        np.testing.assert_allclose([hit.score for hit in hits], true, atol=1e-6)
        assert sorted(true, reverse=True) == list(true)


def test_search__deep_lists_are_exact(index: Index) -> None:
    catalog = _catalog()
    query, own = catalog.queries[0], int(catalog.own[0])
    rows = np.flatnonzero(catalog.categories == own)
    hits = index.search(query, NAMES[own], 500)
    assert [int(hit.product.product_id) for hit in hits] == _exact(query, rows, 500).tolist()
    cheap = Filters(max_price=105_000)
    rows = rows[10_000 + 1_000 * (rows % 190) <= 105_000]
    hits = index.search(query, NAMES[own], 500, cheap)
    assert [int(hit.product.product_id) for hit in hits] == _exact(query, rows, 500).tolist()


def test_delete_products__from_lists(tmp_path: Path) -> None:
    catalog = _catalog()
    root = tmp_path / "index"
    build_index(as_table(catalog, tmp_path / "rows"), root, "made-up", config=SMALL)
    gone = np.arange(0, COUNT, 40)
    manifest = delete_products(root, [f"kream-{row}" for row in gone])
    assert (manifest.rows, len(manifest.segments)) == (COUNT - len(gone), 1)
    assert manifest.lowest_recall >= 0.99
    keep = np.ones(COUNT, bool)
    keep[gone] = False
    assert _found(Index.open(root), Filters(), keep) >= 0.98


def test_build_index__refuses_what_finds_too_little(tmp_path: Path) -> None:
    """Without scoring again, int8 codes do not tell near neighbours apart, however many lists are looked into."""
    config = SMALL.model_copy(update={"rerank": 0, "int8_from": 0})
    with pytest.raises(IndexBuildError, match=r"recall@10 must be at least 0.99, got \w+ 0\.9\d+ \(recall_at_10\)"):
        build_index(as_table(_catalog(), tmp_path / "rows"), tmp_path / "index", "made-up", config=config)
    assert not list((tmp_path / "index" / "segments").iterdir())


def test_partition__filter_that_passes_what_is_far(tmp_path: Path) -> None:
    """Products of one shop look alike: a query near another shop's must still find them, and not nothing."""
    rng = np.random.default_rng(0)
    sides = np.arange(4_000) % 2
    vectors = rng.normal(size=(2, 32))[sides] + rng.normal(size=(20, 32))[rng.integers(20, size=4_000)]
    vectors = (vectors + 0.5 * rng.normal(size=vectors.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    write_partition(tmp_path, "top", vectors, np.arange(4_000), _catalog().vectors[:700], SMALL)
    partition = read_partition(tmp_path, "top", SMALL)
    right = 0
    for query in vectors[sides == 0][:100]:
        wanted = np.flatnonzero(sides)
        wanted = wanted[np.argsort(-(vectors[wanted] @ query))[:10]]
        right += len({*partition.search(query, 10, partition.select(sides == 1))[1].tolist()} & {*wanted.tolist()})
    assert right / (10 * 100) >= 0.98


def test_partition__small_is_exact() -> None:
    vectors = _catalog().vectors[:200]
    partition = Partition(vectors, np.arange(200), None, IndexConfig())
    assert Truth(_catalog().queries, vectors).recall(partition) == 1.0
    mask = np.arange(200) % 3 == 0
    selection = partition.select(mask)
    assert selection is not None
    scores, rows = partition.search(vectors[3], 5, selection)
    assert rows[0] == 3
    assert set(rows % 3) == {0}
    assert list(scores) == sorted(scores, reverse=True)
    assert partition.select(np.ones(200, bool)) is None
    assert len(partition.search(vectors[3], 5, partition.select(np.zeros(200, bool)))[1]) == 0
