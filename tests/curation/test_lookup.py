"""Is this picture already here? By its bytes, by its looks, or not at all."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from curation.__main__ import main
from curation.dedup import DuplicateIndex
from curation.errors import ImageError
from curation.hashing import Mode, describe_bytes
from curation.images import encode_jpeg
from curation.lookup import find_picture
from tests.curation.builders import scene, sha, write_hashes

PICTURES = {number: encode_jpeg(scene(number, (400, 500))) for number in range(1, 6)}
BLANK = encode_jpeg(Image.new("RGB", (300, 300), "white"))


def _index(folder: Path, mode: Mode = Mode.EXACT) -> DuplicateIndex:
    """Two shards; picture 1 is in both, and picture 2 also as a thumbnail."""
    for name, numbers in {"kream/000000": (1, 2), "kream/000001": (3, 4, 1)}.items():
        rows = [_row(PICTURES[number], number, "photo", mode) for number in numbers]
        write_hashes(folder / "dedup", name, rows)
    write_hashes(folder / "dedup", "catalog", [_row(PICTURES[2], 2, "catalog", mode), _row(BLANK, 9, "catalog", mode)])
    index = DuplicateIndex(folder / "dedup")
    index.update()
    return index


def _row(data: bytes, post_id: int, role: str, mode: Mode) -> dict:
    return describe_bytes(data, mode) | {"sha256": sha(data), "role": role, "site": "kream", "post_id": post_id}


def _copy(number: int) -> bytes:
    buffer = io.BytesIO()
    scene(number, (400, 500)).resize((320, 400)).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", list(Mode))
def test_find_picture__same_bytes(tmp_path: Path, mode: Mode) -> None:
    (found,) = find_picture(_index(tmp_path, mode), PICTURES[1])
    assert (found.sha256, found.role, found.identical, found.post_id) == (sha(PICTURES[1]), "photo", True, 1)
    assert (found.phash_distance, found.luma_distance) == (0, 0.0)


def test_find_picture__near_duplicate_in_every_role(tmp_path: Path) -> None:
    found = find_picture(_index(tmp_path), _copy(2))
    assert [(hit.role, hit.identical, hit.sha256) for hit in found] == [
        ("product", False, sha(PICTURES[2])),
        ("photo", False, sha(PICTURES[2])),
    ]


def test_find_picture__the_same_bytes_come_before_what_is_near(tmp_path: Path) -> None:
    index = _index(tmp_path)
    write_hashes(tmp_path / "dedup", "another", [_row(_copy(1), 7, "photo", Mode.EXACT)])
    index.update()
    assert [hit.identical for hit in find_picture(index, PICTURES[1])] == [True, False]
    assert [hit.identical for hit in find_picture(index, _copy(1))] == [True, False]


def test_find_picture__unknown_and_blank(tmp_path: Path) -> None:
    index = _index(tmp_path)
    assert find_picture(index, PICTURES[5]) == []
    assert find_picture(index, encode_jpeg(Image.new("RGB", (310, 300), "white"))) == []
    assert [hit.evidence for hit in find_picture(index, BLANK)] == ["blank"]


def test_find_picture__bad_bytes(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not one of"):
        find_picture(_index(tmp_path), b"<html>")


def test_main__find_explain_remove_update(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _index(tmp_path)
    photo = tmp_path / "photo.webp"
    photo.write_bytes(_copy(3))
    there = ["--data", str(tmp_path)]

    def answers(*arguments: str) -> tuple[int, list[dict]]:
        status = main(["dedup", *arguments, *there])
        return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    status, (found,) = answers("find", str(photo))
    assert (status, found["sha256"], found["identical"]) == (0, sha(PICTURES[3]), False)
    status, (verdict,) = answers("explain", sha(PICTURES[3]))
    assert (status, verdict["evidence"], verdict["kept_because"]) == (0, "kept", None)
    assert answers("remove", sha(PICTURES[3])) == (0, [{"rows_removed": 1}])
    assert answers("find", str(photo)) == (1, [])
    status, (done,) = answers("update")
    assert (status, done["shards_made"], done["kept"], done["blank"]) == (0, 0, 4, 1)


@pytest.mark.parametrize("command", ["explain", "remove"])
def test_main__picture_that_is_not_there_is_told(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _index(tmp_path)
    assert main(["dedup", command, "abc", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "curation: abc: no such picture\n"


@pytest.mark.parametrize("command", ["find", "explain", "remove"])
def test_main__collection_that_was_never_updated_is_told(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photo.webp").write_bytes(_copy(3))
    assert main(["dedup", command, str(tmp_path / "photo.webp"), "--data", str(tmp_path)]) == 2
    assert "no near-duplicates yet; materialize duplicate_clusters" in capsys.readouterr().err


def test_main__missing_picture_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dedup", "find", str(tmp_path / "none.jpg"), "--data", str(tmp_path)]) == 2
    assert "none.jpg" in capsys.readouterr().err
