"""Products taken out of an index leave no version that holds them, and a search goes on with the rest."""

from pathlib import Path
from unittest.mock import patch

import pytest

from search.errors import NotFoundError
from search.index import Index, build_index, current_version, delete_products, rollback
from search.index.removal import remove_products
from search.index.versions import previous_version
from tests.search.builders import BlockEncoder, product_rows, write_embeddings

VERSION = BlockEncoder.version


def _build(root: Path, rows: list[dict], version: str = VERSION) -> None:
    made_from = f"{version} {[row['product_id'] for row in rows]}"
    build_index(write_embeddings(root / "embeddings", rows, made_from), root / "index", version)


def test_remove_products__no_version_holds_them(tmp_path: Path) -> None:
    rows = product_rows()
    _build(tmp_path, rows[:-1])
    _build(tmp_path, rows)
    held = {previous_version(tmp_path / "index"): 2, current_version(tmp_path / "index"): 2}
    products, pictures = ["kream-3"], [rows[5]["sha256"]]
    assert remove_products(tmp_path / "index", products, pictures) == held
    index = Index.open(tmp_path / "index")
    assert index.manifest.rows == len(rows) - 2
    with pytest.raises(NotFoundError):
        index.product("kream-3")
    assert previous_version(tmp_path / "index") is None
    for folder, name in (("versions", index.version), ("segments", index.manifest.segments[0])):
        assert [path.name for path in (tmp_path / "index" / folder).iterdir()] == [name]
    assert remove_products(tmp_path / "index", products, pictures) == {}


def test_remove_products__of_an_encoder_that_was_left(tmp_path: Path) -> None:
    _build(tmp_path, product_rows())
    _build(tmp_path, product_rows(version="blocks-2"), "blocks-2")
    rollback(tmp_path / "index")
    assert len(remove_products(tmp_path / "index", ["kream-3"], [])) == 2
    index = Index.open(tmp_path / "index")
    assert (index.manifest.encoder_version, "kream-3" in index, "kream-4" in index) == (VERSION, False, True)


def test_remove_products__interrupted_before_the_old_versions_went(tmp_path: Path) -> None:
    _build(tmp_path, product_rows())
    with patch("search.index.removal.forget", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        remove_products(tmp_path / "index", ["kream-3"], [])
    assert len(remove_products(tmp_path / "index", ["kream-3"], [])) == 1
    assert previous_version(tmp_path / "index") is None
    assert "kream-3" not in Index.open(tmp_path / "index")


def test_remove_products__that_a_version_to_return_to_left_out(tmp_path: Path) -> None:
    _build(tmp_path, product_rows())
    delete_products(tmp_path / "index", ["kream-3"])
    rollback(tmp_path / "index")
    assert len(remove_products(tmp_path / "index", ["kream-3"], [])) == 2
    assert "kream-3" not in Index.open(tmp_path / "index")


def test_remove_products__nothing_built_is_nothing_to_do(tmp_path: Path) -> None:
    assert remove_products(tmp_path / "index", ["kream-0"], []) == {}
