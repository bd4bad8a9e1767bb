"""Copies of one picture are folded; what only looks alike is not."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from curation.images import encode_jpeg
from search.alike import CopyFolder
from search.index import Index, build_index
from tests.search.builders import BlockEncoder, draw_product, product_rows, write_embeddings


def _shop(root: Path, extra: dict[str, Image.Image]) -> Index:
    """The shop, with more tops: picture by product id."""
    rows = product_rows()
    for product, picture in extra.items():
        vector = BlockEncoder().embed([picture])[0].tolist()
        changed = {"product_id": product, "sha256": product.rjust(64, "0"), "thumbnail": encode_jpeg(picture, 80)}
        rows.append({**rows[3], **changed, "vector": vector})
    build_index(write_embeddings(root / "embeddings", rows), root / "index", BlockEncoder.version)
    return Index.open(root / "index")


def test_fold__copies_go_to_the_best_and_their_places_are_filled(tmp_path: Path) -> None:
    one = draw_product(3)
    tinted = Image.fromarray((255 - np.asarray(one) // 4 * 3).astype(np.uint8))
    index = _shop(tmp_path, {"resized": one.resize((100, 100)), "again": one, "tinted": tinted})
    vector = index.vector("kream-3")
    hits, copies = CopyFolder().fold(index, index.search(vector, "top", 12), 5)
    ids = [hit.product.id for hit in hits]
    assert len(ids) == 5
    (best,) = copies
    assert {best, *(copy.product.id for copy in copies[best])} == {"kream-3", "kream-resized", "kream-again"}
    assert not {copy.product.id for copy in copies[best]} & set(ids)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_fold__asks_for_all_vectors_at_once(index: Index) -> None:
    hits = index.search(index.vector("kream-3"), "top", 10)
    with patch.object(index, "vectors_of", wraps=index.vectors_of) as asked:
        CopyFolder().fold(index, hits, 10)
    asked.assert_called_once_with([hit.product.id for hit in hits])


def test_fold__nothing_and_strangers(index: Index) -> None:
    assert CopyFolder().fold(index, [], 5) == ((), {})
    hits = index.search(index.vector("kream-3"), "top", 10)
    assert CopyFolder().fold(index, hits, 10) == (tuple(hits), {})
