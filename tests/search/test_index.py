"""Building, opening and searching an index."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from search.errors import BadRequestError, IndexBuildError, IndexMissingError, NotFoundError
from search.index import Filters, Index, build_index, current_version, rollback
from search.index.manifest import RECALLS
from search.index.recall import Truth
from search.index.versions import previous_version, segment_folder, version_folder, writing
from tests.search.builders import CATEGORIES, PER_CATEGORY, BlockEncoder, number_of, product_rows, write_embeddings

VERSION = BlockEncoder.version


def _exact(query: np.ndarray, category: str | None) -> list[tuple[str, float]]:
    rows = [row for row in product_rows() if category in (None, row["category"])]
    scores = np.stack([np.float32(row["vector"]) for row in rows]) @ query
    order = np.argsort(-scores, kind="stable")
    return [(f"kream-{rows[at]['product_id']}", float(scores[at])) for at in order]


@pytest.mark.parametrize("category", [None, "top", "shoes"])
def test_search__equals_numpy(index: Index, category: str | None) -> None:
    for seed in range(20):
        query = np.random.default_rng(seed).normal(size=index.manifest.dim).astype(np.float32)
        query /= np.linalg.norm(query)
        hits = index.search(query, category, top=7)
        exact = _exact(query, category)[:7]
        assert [hit.product.id for hit in hits] == [name for name, _ in exact]
        np.testing.assert_allclose([hit.score for hit in hits], [score for _, score in exact], atol=1e-5)


def test_search__filter_names_another_category(index: Index) -> None:
    hits = index.search(index.vector("kream-3"), "shoes", top=5)
    assert {hit.product.category for hit in hits} == {"shoes"}
    assert [hit.product.id for hit in hits] == [name for name, _ in _exact(index.vector("kream-3"), "shoes")[:5]]


def test_search__more_than_there_is(index: Index) -> None:
    assert len(index.search(index.vector("kream-0"), "top", top=1000)) == PER_CATEGORY
    assert len(index.search(index.vector("kream-0"), None, top=1000)) == PER_CATEGORY * len(CATEGORIES)


def test_search__bad_arguments(index: Index) -> None:
    with pytest.raises(BadRequestError, match="category: must be one of bottom, shoes, top, got 'hat'"):
        index.search(index.vector("kream-0"), "hat")
    with pytest.raises(BadRequestError, match=r"shape must be \(n, 108\), got \(1, 3\)"):
        index.search(np.ones(3, np.float32))
    with pytest.raises(BadRequestError, match="top: must be at least 1, got 0"):
        index.search(index.vector("kream-0"), top=0)


def test_product__round_trip(index: Index) -> None:
    row = product_rows()[number_of("bottom", 4)]
    product = index.product("kream-24")
    assert (product.name, product.brand, product.price) == (row["product_name"], row["brand"], row["price"])
    assert (product.url, product.category, product.sha256) == (row["product_url"], "bottom", row["sha256"])
    assert index.thumbnail("kream-24") == row["thumbnail"]
    np.testing.assert_allclose(index.vector("kream-24"), row["vector"], atol=1e-7)
    with pytest.raises(NotFoundError, match="kream-999"):
        index.thumbnail("kream-999")


def test_filters__a_product_without_a_price_keeps_no_rule_on_prices() -> None:
    products = pa.table({"price": pa.array([None, 100, 200], pa.int64())})
    asked = (Filters(min_price=100), Filters(max_price=100), Filters())
    assert [of.mask(products).tolist() for of in asked] == [[False, True, True], [False, True, False], [True] * 3]


def test_neighbours__same_category_without_itself(index: Index) -> None:
    hits = index.neighbours("kream-24", top=PER_CATEGORY)
    assert {hit.product.category for hit in hits} == {"bottom"}
    assert len(hits) == PER_CATEGORY - 1
    assert "kream-24" not in {hit.product.id for hit in hits}
    assert index.neighbours("kream-24", top=2) == hits[:2]


def test_build_index__manifest(index: Index) -> None:
    manifest = index.manifest
    assert manifest.counts == dict.fromkeys(sorted(CATEGORIES), PER_CATEGORY)
    assert manifest.recalls == dict.fromkeys(RECALLS, dict.fromkeys(sorted(CATEGORIES), 1.0))
    assert (manifest.encoder_version, manifest.rows, manifest.dim) == (VERSION, 60, 108)


def _broken(column: str, value: object) -> list[dict]:
    rows = product_rows(3)
    rows[4][column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_broken("encoder_version", "other"), "encoder_version: every row must carry 'blocks-1', got .*other"),
        (_broken("vector", [0.6, 0.8]), "vector: every row must have 108 values, got rows of "),
        (_broken("vector", [0.2] * 108), "vector: must have length 1"),
        (_broken("vector", [float("nan")] * 108), "vector: must have length 1"),
        (_broken("product_id", None), "product_id: required"),
        (_broken("product_id", "0"), "product_id: must be unique, but kream-0 is listed twice"),
        (_broken("product_id", "20"), "product_id: must be unique, but kream-20 is listed twice"),
        (_broken("category", "etc"), "category: must be one of .* got ..etc"),
        ([], "no rows"),
    ],
)
def test_build_index__refuses(tmp_path: Path, rows: list[dict], message: str) -> None:
    good = build_index(write_embeddings(tmp_path / "good", product_rows(3)), tmp_path / "index", VERSION)
    with pytest.raises(IndexBuildError, match=message):
        build_index(write_embeddings(tmp_path / "bad", rows, "b"), tmp_path / "index", VERSION)
    assert Index.open(tmp_path / "index").version == good.version
    for kind in ("versions", "segments"):
        assert [folder.name for folder in (tmp_path / "index" / kind).iterdir()] == [good.version]


def test_build_index__refuses_low_recall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Truth, "recall", lambda *_: 0.5)
    with pytest.raises(IndexBuildError, match=r"recall@10 must be at least 0.99, got bottom 0.5 \(recall_at_10\)"):
        build_index(write_embeddings(tmp_path / "rows", product_rows(3)), tmp_path / "index", VERSION)
    assert current_version(tmp_path / "index") is None


def test_build_index__same_input_builds_nothing(tmp_path: Path) -> None:
    table = write_embeddings(tmp_path / "rows", product_rows(3))
    first = build_index(table, tmp_path / "index", VERSION)
    assert build_index(table, tmp_path / "index", VERSION) == first  # created_at included


def test_build_index__same_input_mends_what_is_damaged(tmp_path: Path) -> None:
    table, root = write_embeddings(tmp_path / "rows", product_rows(3)), tmp_path / "index"
    made = build_index(table, root, VERSION)
    for name in ("segments", "versions"):
        for path in sorted(path for path in (root / name / made.version).rglob("*") if path.is_file()):
            path.write_bytes(path.read_bytes()[:40])
            assert build_index(table, root, VERSION).version == made.version
            assert Index.open(root).product("kream-0").name == "Top No. 0"


def test_build_index__swap_rollback_and_prune(tmp_path: Path) -> None:
    root = tmp_path / "index"
    versions = []
    for turn in range(3):
        table = write_embeddings(tmp_path / f"rows{turn}", product_rows(3 + turn), str(turn))
        versions.append(build_index(table, root, VERSION).version)
        opened = Index.open(root)
        assert opened.manifest.counts["top"] == 3 + turn
    assert (current_version(root), previous_version(root)) == (versions[2], versions[1])
    assert not version_folder(root, versions[0]).exists()
    assert rollback(root) == versions[1]
    assert Index.open(root).manifest.counts["top"] == 4
    assert opened.thumbnail("kream-4")  # an index that is open outlives the swap
    assert rollback(root) == versions[2]


def test_rollback__nothing_before(tmp_path: Path) -> None:
    build_index(write_embeddings(tmp_path / "rows", product_rows(2)), tmp_path / "index", VERSION)
    with pytest.raises(IndexMissingError, match="no earlier version"):
        rollback(tmp_path / "index")


def test_rollback__to_a_version_of_another_format_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "index"
    for count in (3, 4):
        build_index(write_embeddings(tmp_path / str(count), product_rows(count), str(count)), root, VERSION)
    used, before = current_version(root), previous_version(root)
    assert before is not None
    manifest = version_folder(root, before) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 1}))
    with pytest.raises(IndexMissingError):
        rollback(root)
    assert current_version(root) == used


def test_build_index__waits_for_another_writer(tmp_path: Path) -> None:
    table, root = write_embeddings(tmp_path / "rows", product_rows(3)), tmp_path / "index"
    with ThreadPoolExecutor(1) as pool:
        with writing(root):
            made = pool.submit(build_index, table, root, VERSION)
            with pytest.raises(TimeoutError):
                made.result(1)
        assert made.result(20).version == current_version(root)


def test_open__missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="holds no index"):
        Index.open(tmp_path)
    made = build_index(write_embeddings(tmp_path / "rows", product_rows(2)), tmp_path / "index", VERSION)
    partition = segment_folder(tmp_path / "index", made.version) / "partitions" / "top.vectors.npy"
    partition.write_bytes(partition.read_bytes()[:40])
    with pytest.raises(IndexMissingError, match="is damaged"):
        Index.open(tmp_path / "index")


def test_truth__counts_what_is_missing() -> None:
    class Blind:
        """Finds the query itself and then positions that do not exist."""

        def search(self, query: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros(top), np.array([int(np.argmax(vectors @ query))] + [-1] * (top - 1))

    vectors = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert Truth(vectors, vectors).recall(Blind()) == pytest.approx(0.1)
