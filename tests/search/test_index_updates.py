"""Updates of the embedded index: what they write, and that a writer may be killed at any moment."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from search.index import Index, IndexConfig, build_index, current_version, delete_products, rollback, upsert_products
from search.index.versions import segment_folder, versions
from tests.search.builders import BlockEncoder, product_rows, write_embeddings

VERSION = BlockEncoder.version
ROWS = product_rows(5)
PATIENT = IndexConfig(merge_share=1)
Change = Callable[[Path, Path], object]


def _table(folder: Path, rows: list[dict]):
    return write_embeddings(folder, rows, str([(row["product_id"], row["price"]) for row in rows]))


def _build(folder: Path, config: IndexConfig | None = None) -> Path:
    build_index(_table(folder / "rows", ROWS), folder / "index", VERSION, config=config)
    return folder / "index"


def _segments(root: Path) -> set[str]:
    return {path.name for path in (root / "segments").iterdir()}


def test_upsert_products__writes_only_what_is_new(tmp_path: Path) -> None:
    root = _build(tmp_path, PATIENT)
    first = current_version(root)
    made = upsert_products(root, _table(tmp_path / "one", [ROWS[2] | {"price": 1}]))
    assert (made.segments, made.made_by, made.rows) == ([first, made.version], "upsert", 15)
    parts = segment_folder(root, made.version) / "partitions"
    assert {path.name for path in parts.iterdir()} == {"top.vectors.npy", "top.rows.npy"}
    deleted = delete_products(root, ["kream-1"])
    assert (deleted.segments, deleted.made_by, deleted.rows) == (made.segments, "delete", 14)
    assert _segments(root) == set(made.segments)


def test_upsert_products__merges_when_much_is_beside(tmp_path: Path) -> None:
    root = _build(tmp_path, PATIENT.model_copy(update={"merge_segments": 2}))
    upsert_products(root, _table(tmp_path / "one", [ROWS[2] | {"price": 1}]))
    made = upsert_products(root, _table(tmp_path / "two", [ROWS[3] | {"price": 2}]))
    assert (made.segments, made.made_by) == ([made.version], "merge")
    index = Index.open(root)
    assert [index.product(f"kream-{number}").price for number in (2, 3, 4)] == [1, 2, ROWS[4]["price"]]
    assert index.thumbnail("kream-2") == ROWS[2]["thumbnail"]
    rollback(root)
    assert Index.open(root).product("kream-3").price == ROWS[3]["price"]


def test_upsert_products__vector_of_which_two_numbers_changed(tmp_path: Path) -> None:
    root = _build(tmp_path, PATIENT)
    first, second, *others = ROWS[2]["vector"]
    upsert_products(root, _table(tmp_path / "one", [ROWS[2] | {"vector": [second, first, *others]}]))
    np.testing.assert_allclose(Index.open(root).vector("kream-2"), [second, first, *others], atol=1e-6)


def test_rank__a_product_that_was_left_out_is_before_none(tmp_path: Path) -> None:
    root = _build(tmp_path, PATIENT)
    index = Index.open(root)
    query = index.vector("kream-0")
    first, second, third = (hit.product.id for hit in index.search(query, "top", 3))
    assert index.rank(query, third) == 3
    delete_products(root, [first])
    assert [Index.open(root).rank(query, product) for product in (second, third)] == [1, 2]


def test_upsert_products__recall_is_measured_again(tmp_path: Path) -> None:
    root = _build(tmp_path, PATIENT)
    made = upsert_products(root, _table(tmp_path / "one", [ROWS[2] | {"price": 1}]))
    assert all(value == 1.0 for values in made.recalls.values() for value in values.values())
    assert all(set(values) == {"top", "bottom", "shoes"} for values in made.recalls.values())


CHANGES: dict[str, Change] = {
    "build": lambda root, rows: build_index(_table(rows, [*ROWS[1:], ROWS[0] | {"price": 7}]), root, VERSION),
    "upsert": lambda root, rows: upsert_products(root, _table(rows, [ROWS[0] | {"price": 7}])),
    "delete": lambda root, rows: delete_products(root, ["kream-0"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change__killed_at_any_step(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rename and link is a step; before each, everything stops as if the process had died."""
    root = _build(tmp_path, PATIENT)
    before = current_version(root)
    prices = [ROWS[0]["price"], None if change == "delete" else 7]

    class Killed(BaseException):
        """Nothing that code would catch."""

    def price() -> int | None:
        index = Index.open(root)
        return index.product("kream-0").price if "kream-0" in index else None

    step = 0
    while current_version(root) == before:
        with monkeypatch.context() as patch:
            left = iter(range(step))

            def dying(real: Callable, left=left) -> Callable:
                def call(*arguments: object, **options: object):
                    if next(left, None) is None:
                        raise Killed
                    return real(*arguments, **options)

                return call

            for name in ("rename", "replace", "symlink"):
                patch.setattr(os, name, dying(getattr(os, name)))
            with suppress(Killed):
                CHANGES[change](root, tmp_path / "changed")
        assert price() in prices
        step += 1
    assert step >= 3
    CHANGES[change](root, tmp_path / "changed")  # repeated: nothing is left to do, or it is finished
    assert price() == (None if change == "delete" else 7)
    assert len(versions(root)) == 2
    assert _segments(root) == {name for made in versions(root) for name in made.segments}
    assert not list(root.rglob("*.tmp"))
