"""What every store of an index must do: one suite for the embedded index and for Milvus."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from pymilvus import MilvusClient

from curation.tables import ShardedTable
from search.errors import BadRequestError, IndexBuildError, IndexMissingError, NotFoundError
from search.index import Filters, Hit
from search.index.milvus_store import MilvusStore
from search.index.stores import FolderStore
from search.protocols import IndexStore, ProductIndex
from tests.search.builders import CATEGORIES, PER_CATEGORY, BlockEncoder, number_of, product_rows, write_embeddings

VERSION = BlockEncoder.version
ODD = "Atelier"
EVEN = "한글 <b>브랜드</b>"


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    client = MilvusClient(str(tmp_path_factory.mktemp("milvus") / "milvus.db"))
    yield client
    client.close()


@pytest.fixture(scope="module", params=["folder", "milvus"])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], IndexStore]:
    """Stores with nothing in them."""
    if request.param == "folder":
        return lambda: FolderStore(tmp_path_factory.mktemp("index"))
    count, client = itertools.count(), request.getfixturevalue("milvus")
    return lambda: MilvusStore(client, f"test{next(count)}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ShardedTable:
    return write_embeddings(tmp_path_factory.mktemp("shop"), product_rows())


@pytest.fixture(scope="module")
def standing(make: Callable[[], IndexStore], shop: ShardedTable) -> ProductIndex:
    """An index that no test changes."""
    store = make()
    store.build(shop, VERSION, {"size": {"height": 6}})
    return store.open()


@pytest.fixture
def empty(make: Callable[[], IndexStore]) -> IndexStore:
    return make()


@pytest.fixture
def store(empty: IndexStore, shop: ShardedTable) -> IndexStore:
    empty.build(shop, VERSION)
    return empty


@pytest.fixture
def table(tmp_path: Path) -> Callable[[list[dict]], ShardedTable]:
    """Write rows as a table of their own."""
    count = itertools.count()

    def write(rows: list[dict]) -> ShardedTable:
        number = next(count)
        return write_embeddings(tmp_path / f"rows{number}", rows, str(number))

    return write


def _query(seed: int = 0) -> np.ndarray:
    query = np.random.default_rng(seed).normal(size=108).astype(np.float32)
    return query / np.linalg.norm(query)


def _exact(rows: list[dict], query: np.ndarray, keep: Callable[[dict], bool]) -> list[str]:
    kept = [row for row in rows if keep(row)]
    scores = np.stack([np.float32(row["vector"]) for row in kept]) @ query
    return [f"kream-{kept[at]['product_id']}" for at in np.argsort(-scores, kind="stable")]


def _ids(hits: list[Hit]) -> list[str]:
    return [hit.product.id for hit in hits]


def _changed(number: int, **values: object) -> dict:
    return product_rows()[number] | values


def test_open__nothing_built(empty: IndexStore) -> None:
    assert (empty.current(), empty.versions()) == (None, [])
    with pytest.raises(IndexMissingError, match="holds no index"):
        empty.open()
    with pytest.raises(IndexMissingError, match="no earlier version"):
        empty.rollback()


def test_build__manifest(standing: ProductIndex) -> None:
    manifest = standing.manifest
    assert (manifest.rows, manifest.dim, manifest.encoder_version) == (60, 108, VERSION)
    assert manifest.counts == dict.fromkeys(sorted(CATEGORIES), PER_CATEGORY)
    assert manifest.preprocessing == {"size": {"height": 6}}
    assert manifest.recall_at_10 == manifest.recall_elsewhere_at_10 == dict.fromkeys(sorted(CATEGORIES), 1.0)


def test_build__of_the_same_table_is_the_same_version(store: IndexStore, shop: ShardedTable) -> None:
    assert store.build(shop, VERSION).version == store.current()
    assert [made.version for made in store.versions()] == [store.current()]


def test_build__refuses(store: IndexStore, table: Callable) -> None:
    before = store.current()
    with pytest.raises(IndexBuildError, match="encoder_version: every row must carry"):
        store.build(table(product_rows(2, "another")), VERSION)
    with pytest.raises(IndexBuildError, match="no rows"):
        store.build(table([]), VERSION)
    assert store.current() == before


@pytest.mark.parametrize("category", [None, "top", "shoes"])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(brands=frozenset({EVEN})),
        Filters(brands=frozenset({ODD, "nobody"}), min_price=20_000),
        Filters(min_price=15_000, max_price=52_000),
        Filters(sites=frozenset({"musinsa"})),
        Filters(sites=frozenset({"kream"}), max_price=60_000),
    ],
)
def test_search__filters(standing: ProductIndex, category: str | None, filters: Filters) -> None:
    def keep(row: dict) -> bool:
        return (
            category in (None, row["category"])
            and (not filters.brands or row["brand"] in filters.brands)
            and (not filters.sites or row["site"] in filters.sites)
            and (filters.min_price is None or row["price"] >= filters.min_price)
            and (filters.max_price is None or row["price"] <= filters.max_price)
        )

    wanted = [row for row in product_rows() if keep(row)]
    for seed in range(3):
        hits = standing.search(_query(seed), category, 7, filters)
        assert _ids(hits) == (_exact(wanted, _query(seed), keep)[:7] if wanted else [])
        assert all(hits[at].score >= hits[at + 1].score for at in range(len(hits) - 1))


@pytest.mark.parametrize(
    "odd", ['He said "x"', "O'Neill \\", 'a" or id != "', "{x} 100 %", "line\r\nbreak\t", "\x00\x1b"]
)
def test_search__whatever_a_brand_or_an_id_is(empty: IndexStore, table: Callable, odd: str) -> None:
    empty.build(table([_changed(0), _changed(1, brand=odd), _changed(2, product_id=odd)]), VERSION)
    index = empty.open()
    assert _ids(index.search(_query(), None, 9, Filters(brands=frozenset({odd})))) == ["kream-1"]
    assert (index.product(f"kream-{odd}").product_id, odd in index) == (odd, False)
    assert empty.delete([f"kream-{odd}"]).rows == 2


def test_search_many__each_in_its_category(standing: ProductIndex) -> None:
    vectors = np.stack([_query(0), _query(1), _query(2)])
    found = standing.search_many(vectors, ["shoes", None, "shoes"], 4)
    assert [_ids(hits) for hits in found] == [
        _ids(standing.search(vector, category, 4))
        for vector, category in zip(vectors, ["shoes", None, "shoes"], strict=True)
    ]


def test_search__bad_arguments(standing: ProductIndex) -> None:
    with pytest.raises(BadRequestError, match="category: must be one of bottom, shoes, top, got 'hat'"):
        standing.search(_query(), "hat")
    with pytest.raises(BadRequestError, match=r"shape must be \(n, 108\), got \(1, 3\)"):
        standing.search(np.ones(3, np.float32))
    with pytest.raises(BadRequestError, match="top: must be at least 1, got 0"):
        standing.search(_query(), top=0)
    with pytest.raises(BadRequestError, match="price: from 5 to 4 is no range"):
        Filters(min_price=5, max_price=4)


def test_product__everything_about_it(standing: ProductIndex) -> None:
    index, row = standing, product_rows()[number_of("bottom", 4)]
    product = index.product("kream-24")
    assert (product.name, product.brand, product.price) == (row["product_name"], row["brand"], row["price"])
    assert index.thumbnail("kream-24") == row["thumbnail"]
    np.testing.assert_array_equal(index.vector("kream-24"), np.float32(row["vector"]))
    similar = index.neighbours("kream-24", 5)
    assert "kream-24" not in _ids(similar)
    assert {hit.product.category for hit in similar} == {"bottom"}
    assert index.rank(np.float32(row["vector"]), "kream-24") == 1
    assert index.rank(np.float32(row["vector"]), similar[3].product.id) == 5
    assert ("kream-24" in index, "kream-999" in index) == (True, False)
    for ask in (index.product, index.thumbnail, index.vector, index.neighbours):
        with pytest.raises(NotFoundError, match="kream-999"):
            ask("kream-999")


def test_vectors_of__in_the_order_of_the_ids(standing: ProductIndex) -> None:
    rows = product_rows()
    wanted = [24, 3, 59]
    found = standing.vectors_of([f"kream-{number}" for number in wanted])
    np.testing.assert_array_equal(found, np.float32([rows[number]["vector"] for number in wanted]))
    assert standing.vectors_of([]).shape == (0, 108)
    with pytest.raises(NotFoundError, match="no product 'kream-999'"):
        standing.vectors_of(["kream-3", "kream-999"])


def test_vectors_of__milvus_is_asked_once(milvus: MilvusClient, shop: ShardedTable) -> None:
    store = MilvusStore(milvus, "asked")
    store.build(shop, VERSION)
    index = store.open()
    with patch.object(milvus, "query", wraps=milvus.query) as query:
        index.vectors_of(["kream-24", "kream-3", "kream-59"])
        index.vectors_of([])
    assert query.call_count == 1


def test_upsert__adds_replaces_and_moves(store: IndexStore, table: Callable) -> None:
    old = store.open()
    other = product_rows()[5]["vector"]
    changes = [
        _changed(3, price=1),
        _changed(4, category="shoes"),
        _changed(7, vector=other),
        _changed(8),
        _changed(0, product_id="new"),
    ]
    manifest = store.upsert(table(changes))
    index = store.open()
    assert index.version == manifest.version == store.current() != old.version
    assert (manifest.rows, manifest.counts) == (61, {"bottom": 20, "shoes": 21, "top": 20})
    assert manifest.encoder_version == VERSION
    assert (index.product("kream-3").price, index.product("kream-4").category) == (1, "shoes")
    assert set(_ids(index.search(np.float32(other), "top", 2))) == {"kream-5", "kream-7"}
    assert index.thumbnail("kream-new") == index.thumbnail("kream-0")
    rows = [row for row in product_rows() if row["product_id"] not in ("3", "4", "7", "8")] + changes
    for category in CATEGORIES:
        found = _ids(index.search(_query(), category, 99))
        assert set(found) == {f"kream-{row['product_id']}" for row in rows if row["category"] == category}
    assert old.product("kream-3").price != 1  # a version that is open never changes
    assert "kream-new" not in old
    assert len(old.search(_query(), None, 99)) == 60


def test_upsert__what_is_there_makes_no_version(store: IndexStore, table: Callable) -> None:
    before = store.current()
    assert store.upsert(table(product_rows()[:9])).version == before == store.current()
    assert store.delete(["kream-nobody"]).version == before


def test_upsert__refuses(store: IndexStore, table: Callable) -> None:
    before = store.current()
    with pytest.raises(IndexBuildError, match="every row must have 108 values"):
        store.upsert(table([_changed(3, vector=[0.6, 0.8])]))
    with pytest.raises(IndexBuildError, match="encoder_version"):
        store.upsert(table([_changed(3, encoder_version="another")]))
    assert store.current() == before


def test_delete__and_back(store: IndexStore, table: Callable) -> None:
    first = store.current()
    manifest = store.delete(["kream-3", "kream-25", "kream-3", "kream-nobody"])
    index = store.open()
    assert (manifest.rows, manifest.counts["top"], manifest.counts["bottom"]) == (58, 19, 19)
    assert not {"kream-3", "kream-25"} & set(_ids(index.search(_query(), None, 99)))
    assert "kream-3" not in index
    assert store.rollback() == first
    assert "kream-3" in store.open()
    assert store.rollback() == manifest.version
    with pytest.raises(IndexBuildError, match="all that the index holds"):
        store.delete([f"kream-{number}" for number in range(60)])


def test_delete__of_a_whole_category(store: IndexStore) -> None:
    manifest = store.delete([f"kream-{number}" for number in range(20)])
    assert list(manifest.counts) == ["bottom", "shoes"]
    assert "top" not in store.open().categories


def test_upsert__after_a_rollback(store: IndexStore, table: Callable) -> None:
    first = store.current()
    store.upsert(table([_changed(0, product_id="left"), _changed(3, price=1)]))
    store.rollback()
    second = store.upsert(table([_changed(0, product_id="new")]))
    index = store.open()
    assert ("kream-new" in index, "kream-left" in index, second.rows) == (True, False, 61)
    assert index.product("kream-3").price == 13_000
    assert store.rollback() == first
    assert "kream-new" not in store.open()


def test_update__again_and_again(store: IndexStore, table: Callable) -> None:
    """More changes than an index may carry along beside what it was built of."""
    for turn in range(5):
        store.upsert(table([_changed(turn, price=turn), _changed(0, product_id=f"new{turn}")]))
        store.delete([f"kream-{40 + turn}"])
    index = store.open()
    rows = [_changed(turn, price=turn) for turn in range(5)] + product_rows()[5:40] + product_rows()[45:]
    rows += [_changed(0, product_id=f"new{turn}") for turn in range(5)]
    assert (index.manifest.rows, index.manifest.counts["shoes"]) == (60, 15)
    assert set(_ids(index.search(_query(), None, 99))) == {f"kream-{row['product_id']}" for row in rows}
    assert _ids(index.search(_query(), "shoes", 99)) == _exact(rows, _query(), lambda row: row["category"] == "shoes")
    assert [index.product(f"kream-{turn}").price for turn in range(5)] == list(range(5))
    assert len(store.versions()) == 2
    for id in ("kream-4", "kream-new3"):  # noqa: A001
        assert index.search(index.vector(id), "top", 1)[0].score == pytest.approx(1, abs=1e-5)


def test_remove__no_version_holds_them(store: IndexStore, table: Callable) -> None:
    first = store.current()
    store.upsert(table([_changed(3, price=1)]))
    second = store.current()
    held = store.remove(["kream-3"], [product_rows()[5]["sha256"]])
    assert held.keys() == {first, second}
    index = store.open()
    assert (index.manifest.rows, "kream-3" in index, "kream-5" in index) == (58, False, False)
    assert set(index.manifest.recall_at_10.values()) == {1.0}
    kept = [row for row in product_rows() if row["product_id"] not in ("3", "5")]
    assert _ids(index.search(_query(), None, 99)) == _exact(kept, _query(), lambda _: True)
    assert (index.thumbnail("kream-4"), index.product("kream-4").price) == (kept[3]["thumbnail"], kept[3]["price"])
    assert [made.version for made in store.versions()] == [index.version]
    with pytest.raises(IndexMissingError, match="no earlier version"):
        store.rollback()
    assert store.remove(["kream-3"], []) == {}


@pytest.mark.parametrize("back", [False, True])
def test_remove__what_was_added_later(store: IndexStore, table: Callable, back: bool) -> None:
    """The version before is without it, but shares its Milvus collection with the one that holds the product."""
    store.upsert(table([_changed(0, product_id="new"), _changed(3, price=1)]))
    if back:
        store.rollback()
    assert store.remove(["kream-new"], [])
    assert store.remove(["kream-new"], []) == {}
    index = store.open()
    assert [made.version for made in store.versions()] == [index.version]
    assert (index.manifest.rows, "kream-new" in index) == (60, False)
    assert index.product("kream-3").price == (13_000 if back else 1)


def test_remove__all_that_there_is(store: IndexStore) -> None:
    used = store.current()
    with pytest.raises(IndexBuildError, match="no rows"):
        store.remove([f"kream-{row['product_id']}" for row in product_rows()], [])
    assert [made.version for made in store.versions()] == [used]
