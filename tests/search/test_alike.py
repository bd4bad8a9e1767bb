"""Copies of one picture are folded; what only looks alike is not."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from curation.images import encode_jpeg
from search.alike import CopyFolder
from search.index import Index, build_index
from search.query import SearchService
from tests.search.builders import (
    BlockEncoder,
    FixedDetector,
    draw_product,
    photo_of,
    product_rows,
    write_embeddings,
)


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


def test_fold__reads_each_picture_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = _shop(tmp_path, {"resized": draw_product(3).resize((100, 100)), "again": draw_product(3)})
    hits = index.search(index.vector("kream-3"), "top", 12)
    folder = CopyFolder()
    with patch.object(index, "thumbnail", wraps=index.thumbnail) as read:
        first = folder.fold(index, hits, 5)
        asked = [call.args[0] for call in read.call_args_list]
        assert {"kream-3", "kream-resized", "kream-again"} <= {*asked}
        assert len(asked) == len({*asked})
        assert folder.fold(index, hits, 5) == first
        assert read.call_count == len(asked)
        monkeypatch.setattr("search.alike._REMEMBERED", 1)
        folder = CopyFolder()
        assert folder.fold(index, hits, 5) == first
    assert len(folder._known) == 1


def test_fold__plain_pictures_tell_nothing(tmp_path: Path) -> None:
    index = _shop(tmp_path, {name: Image.new("RGB", (120, 120), name) for name in ("white", "whitesmoke")})
    hits = index.search(index.vector("kream-white"), "top", 2)
    assert {hit.product.id for hit in hits} == {"kream-white", "kream-whitesmoke"}
    assert CopyFolder().fold(index, hits, 2) == (tuple(hits), {})


def test_fold__nothing_and_strangers(index: Index) -> None:
    assert CopyFolder().fold(index, [], 5) == ((), {})
    hits = index.search(index.vector("kream-3"), "top", 10)
    assert CopyFolder().fold(index, hits, 10) == (tuple(hits), {})


def test_search__copies_leave_as_many_hits_as_were_asked_for(tmp_path: Path) -> None:
    index = _shop(tmp_path, {f"copy{side}": draw_product(3).resize((side, side)) for side in (100, 110, 120)})
    answer = SearchService(FixedDetector(), BlockEncoder(), index).search(photo_of(3, 7, 11), top=4)
    top = answer.garments[0]
    assert sum(map(len, top.copies.values())) >= 3
    assert len(top.hits) == 4
