"""Products taken out of an index leave no version that holds them, and a search goes on with the rest."""

from pathlib import Path

import pytest

from curation.tables import ShardedTable
from search.errors import IndexBuildError, NotFoundError
from search.index import Index, build_index, current_version
from search.index.removal import remove_products
from search.index.versions import previous_version
from tests.search.builders import BlockEncoder, product_rows, write_embeddings

VERSION = BlockEncoder.version


def _embeddings(root: Path, rows: list[dict]) -> ShardedTable:
    return write_embeddings(root / "embeddings", rows, str([row["product_id"] for row in rows]))


def _build(root: Path, rows: list[dict]) -> None:
    build_index(_embeddings(root, rows), root / "index", VERSION)


def test_remove_products__no_version_holds_them(tmp_path: Path) -> None:
    rows = product_rows()
    _build(tmp_path, rows[:-1])
    _build(tmp_path, rows)
    held = {previous_version(tmp_path / "index"): 2, current_version(tmp_path / "index"): 2}
    left = _embeddings(tmp_path, [row for row in rows if row["product_id"] not in ("3", "5")])
    products, pictures = ["kream-3"], [rows[5]["sha256"]]
    assert remove_products(tmp_path / "index", left, products, pictures) == held
    index = Index.open(tmp_path / "index")
    assert index.manifest.rows == len(rows) - 2
    with pytest.raises(NotFoundError):
        index.product("kream-3")
    assert previous_version(tmp_path / "index") is None
    assert [path.name for path in (tmp_path / "index" / "versions").iterdir()] == [index.version]
    assert remove_products(tmp_path / "index", left, products, pictures) == {}


def test_remove_products__keeps_all_when_no_index_can_be_made(tmp_path: Path) -> None:
    rows = product_rows()
    _build(tmp_path, rows)
    used = current_version(tmp_path / "index")
    other = _embeddings(tmp_path, [row | {"encoder_version": "another"} for row in rows[1:]])
    with pytest.raises(IndexBuildError, match="encoder_version"):
        remove_products(tmp_path / "index", other, ["kream-0"], [])
    assert current_version(tmp_path / "index") == used


@pytest.mark.parametrize(("products", "picture"), [(["kream-3"], None), ([], 5)])
def test_remove_products__refuses_embeddings_that_still_hold_one(
    products: list[str], picture: int | None, tmp_path: Path
) -> None:
    rows = product_rows()
    _build(tmp_path, rows)
    pictures = [] if picture is None else [rows[picture]["sha256"]]
    with pytest.raises(IndexBuildError, match=r"must be without the products to remove, kream-[35] is there"):
        remove_products(tmp_path / "index", _embeddings(tmp_path, rows), products, pictures)
    assert Index.open(tmp_path / "index").manifest.rows == len(rows)


def test_remove_products__nothing_built_is_nothing_to_do(tmp_path: Path) -> None:
    assert remove_products(tmp_path / "index", ShardedTable(tmp_path / "none"), ["kream-0"], []) == {}
