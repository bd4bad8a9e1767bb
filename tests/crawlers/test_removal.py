"""What waits in staging files is taken down too, and the file does not keep deleted bytes."""

from pathlib import Path

import pytest

from crawlers.blocks import locked
from crawlers.errors import BlockLockedError
from crawlers.removal import forget_staged
from crawlers.rows import PHOTO, LedgerEntry, Picture, PostResult, Row, now
from crawlers.staging import Staging
from curation.reasons import PostState

SECRET = b"bytes of a picture that has to go " * 50


def _stage(out: Path, folder: str = "kream") -> Path:
    path = out / "staging" / folder / "000000.sqlite"
    staging = Staging(path)
    for post in (1, 2, 3):
        url = f"https://shop.test/{post}.jpg"
        data = SECRET if post == 1 else b"another"
        row = Row(post, PHOTO, 0, url, {"product_id": f"p{post}"})
        picture = Picture(url, now(), data, "JPEG", 1, 1, False, f"sha{post}")
        staging.commit(PostResult(LedgerEntry(post, PostState.DONE), (row,), (picture,)))
    staging.close()
    return path


def test_forget_staged__posts_and_pictures_go(tmp_path: Path) -> None:
    path = _stage(tmp_path)
    assert SECRET[:40] in path.read_bytes()
    removed = forget_staged(tmp_path, "kream", posts=[1], urls=["https://shop.test/2.jpg"])
    assert removed == 5  # row, ledger entry and picture of one; row and picture of the other
    staging = Staging(path)
    assert [row.key for row, _ in staging.rows()] == [3]
    assert list(staging.entries()) == [2, 3]
    staging.close()
    assert SECRET[:40] not in path.read_bytes()
    assert forget_staged(tmp_path, "kream", posts=[1]) == 0


def test_forget_staged__products_go_from_posts_and_catalog(tmp_path: Path) -> None:
    posts, catalog = _stage(tmp_path), _stage(tmp_path, "catalog/kream")
    assert forget_staged(tmp_path, "kream", products=["p1"]) == 4  # row and picture in each
    forget_staged(tmp_path, "kream", posts=[2])
    for path, left in ((posts, [3]), (catalog, [2, 3])):  # a catalog's key is no post id
        staging = Staging(path)
        assert [row.key for row, _ in staging.rows()] == left
        staging.close()


def test_forget_staged__running_crawl_is_not_disturbed(tmp_path: Path) -> None:
    path = _stage(tmp_path)
    with locked(path.with_suffix(".lock")), pytest.raises(BlockLockedError):
        forget_staged(tmp_path, "kream", posts=[1])
    assert forget_staged(tmp_path, "onthelook", posts=[1]) == 0
