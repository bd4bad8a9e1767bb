"""The compiled scan against the same in numpy."""

import numpy as np
import pytest

from search.index.config import IndexConfig
from search.index.lists import Depth, InvertedLists

RNG = np.random.default_rng(5)
VECTORS = RNG.normal(size=(400, 16)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
ALL = Depth(near=1000, far=1000)


def _lists(int8_from: int = 10**9, depth: Depth = ALL, rerank: int = 400) -> InvertedLists:
    lists = InvertedLists.build(VECTORS, IndexConfig(int8_from=int8_from, rerank=rerank))
    lists.depth = depth
    return lists


def _exact(query: np.ndarray, places: np.ndarray, top: int) -> np.ndarray:
    return places[np.argsort(-(VECTORS[places] @ query), kind="stable")[:top]]


@pytest.mark.parametrize("int8_from", [0, 10**9])
@pytest.mark.parametrize("top", [1, 7, 400, 500])
def test_search_lists__all_of_them_is_exact(int8_from: int, top: int) -> None:
    lists = _lists(int8_from)
    for query in VECTORS[:5] + np.float32(0.1):
        scores, places = lists.search(query, top)
        assert places.tolist() == _exact(query, np.arange(400), top).tolist()
        np.testing.assert_allclose(scores, VECTORS[places] @ query, atol=1e-5)


@pytest.mark.parametrize("int8_from", [0, 10**9])
@pytest.mark.parametrize("step", [2, 50, 399, 1000])
def test_search_lists__bits(int8_from: int, step: int) -> None:
    allowed = np.arange(400) % step == 1
    bits = np.packbits(allowed, bitorder="little")
    _, places = _lists(int8_from).search(VECTORS[3], 10, bits)
    assert places.tolist() == _exact(VECTORS[3], np.flatnonzero(allowed), 10).tolist()
    _, nothing = _lists(int8_from).search(VECTORS[3], 10, np.zeros_like(bits))
    assert len(nothing) == 0


def test_search_lists__looks_only_into_the_nearest() -> None:
    lists = _lists(depth=Depth(bound=-2, near=3, far=0))
    centres, starts, order = (lists._stored[name] for name in ("centres", "starts", "order"))
    for query in VECTORS[:20]:
        nearest = np.argsort(-(centres @ query))[:3]
        inside = np.concatenate([order[starts[at] : starts[at + 1]] for at in nearest])
        assert lists.search(query, 5)[1].tolist() == _exact(query, inside, 5).tolist()


def test_search_lists__far_queries_look_deeper() -> None:
    near, far = (_lists(depth=Depth(bound=bound, near=1, far=1000)) for bound in (-2.0, 2.0))
    query = VECTORS[7]
    assert far.search(query, 400)[1].tolist() == _exact(query, np.arange(400), 400).tolist()
    assert len(near.search(query, 400)[1]) < 100


def test_search_lists__bits_are_looked_for_until_there_are_enough() -> None:
    """What may be found lies in lists that are far from the query."""
    lists, query = _lists(depth=Depth(bound=-2, near=1, far=1)), VECTORS[7]
    farthest = np.sort(np.argsort(VECTORS @ query)[:100])
    bits = np.packbits(np.isin(np.arange(400), farthest), bitorder="little")
    assert lists.search(query, 100, bits)[1].tolist() == _exact(query, farthest, 100).tolist()
    assert len(lists.search(query, 5, bits)[1]) == 5


def test_write__and_read(tmp_path) -> None:
    lists = _lists(0, Depth(0.25, 3, 9), rerank=20)
    lists.write(tmp_path / "top.lists.npz")
    again = InvertedLists.read(tmp_path / "top.lists.npz", VECTORS, IndexConfig(rerank=20))
    assert (again.depth, len(again)) == (lists.depth, 400)
    for query in VECTORS[:5]:
        np.testing.assert_array_equal(again.search(query, 5)[1], lists.search(query, 5)[1])
    (tmp_path / "top.lists.npz").write_bytes(b"PK damaged")
    with pytest.raises(ValueError, match=r"top.lists.npz|pickled"):
        InvertedLists.read(tmp_path / "top.lists.npz", VECTORS, IndexConfig())
