"""The audit finds benchmark pictures however they were re-encoded, and the next version goes without them."""

import json
from pathlib import Path

import pytest

from curation.__main__ import main
from curation.audit import audit
from curation.errors import CurationError
from curation.images import encode_jpeg
from curation.republish import republish
from curation.selection import benchmark_pictures
from curation.tables import ShardedTable, write_json
from tests.curation.builders import candidate_row, candidates, damage, scene, sha
from tests.curation.data_folder import make_data, photo


def _benchmark(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "folder.jpg").mkdir()
    (folder / "photo.jpg").write_bytes(photo(1))
    (folder / "sub" / "resized.JPG").write_bytes(encode_jpeg(scene(5002).resize((180, 225)), 60))
    scene(1003).save(folder / "thumbnail.png")
    (folder / "anchor.jpg").write_bytes(encode_jpeg(scene(4), 50))
    (folder / "other.jpg").write_bytes(encode_jpeg(scene(99_999)))
    (folder / "broken.jpg").write_bytes(photo(1)[:99])
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_audit__finds_photos_anchors_and_thumbnails(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    report = audit(_benchmark(tmp_path / "bench"), data, remove=False)
    assert {(overlap["file"], overlap["role"]) for overlap in report["overlaps"]} == {
        ("photo.jpg", "photo"),
        ("sub/resized.JPG", "photo"),
        ("thumbnail.png", "product"),
        ("anchor.jpg", "anchor"),
    }
    assert (report["pictures"], report["pairs"], len(report["unreadable"])) == (5, 4, 1)
    assert json.loads((data / "audits" / "bench.json").read_text()) == report


def test_audit__remove_publishes_a_version_without_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    assert main(["audit", str(_benchmark(tmp_path / "bench")), "--data", str(data), "--remove"]) == 0
    assert json.loads(capsys.readouterr().out)["next_version"] == "0002"
    posts = ShardedTable(data / "pair_dataset").table(["post_id"])["post_id"].to_pylist()
    assert sorted(posts) == [6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19]
    assert audit(tmp_path / "bench", data, remove=False)["overlaps"] == []


def test_audit__folder_that_is_not_there(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", range(1, 4))
    with pytest.raises(CurationError, match="nowhere: there is no such folder"):
        audit(tmp_path / "nowhere", data, remove=False)


@pytest.mark.parametrize("again", [("--remove",), ()])
def test_audit__what_was_left_out_stays_out(
    again: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    command = ["audit", str(_benchmark(tmp_path / "bench")), "--data", str(data)]
    assert main([*command, "--remove"]) == 0
    kept = set(ShardedTable(data / "pair_dataset").table(["post_id"])["post_id"].to_pylist())
    (tmp_path / "bench" / "more.jpg").write_bytes(photo(6))
    capsys.readouterr()
    assert main([*command, *again]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [overlap["file"] for overlap in report["overlaps"]] == ["more.jpg"]
    assert len(report["left_out"]) == 4 + len(again)  # asking what overlaps leaves nothing more out
    republish(data)
    posts = set(ShardedTable(data / "pair_dataset").table(["post_id"])["post_id"].to_pylist())
    assert posts == (kept - {6} if again else kept)


def test_audit__anchor_that_another_detector_cut_stays_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "anchor.jpg").write_bytes(encode_jpeg(scene(4), 50))
    assert main(["audit", str(tmp_path / "bench"), "--data", str(data), "--remove"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"][0]["role"] == "anchor"
    rows = []
    for number in range(1, 20):
        cut = encode_jpeg(scene(number).crop((5, 5, 235, 295)))
        row = candidate_row(number, anchor_sha256=sha(photo(number)), crop_sha256=sha(cut), detector_version="next")
        rows.append({**row, "anchor_bytes": cut if row["kept"] else None})
    candidates(data / "pairs" / "candidate_pairs", {"000000": rows}, fingerprint="next")
    manifest = republish(data)
    assert (manifest["version"], manifest["left_out"]) == ("0003", {"in_benchmark": 1})
    assert 4 not in ShardedTable(data / "pair_dataset").table(["post_id"])["post_id"].to_pylist()


def test_audit__report_of_an_older_release_still_leaves_out(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    audit(_benchmark(tmp_path / "bench"), data, remove=True)
    path = data / "audits" / "bench.json"
    report = json.loads(path.read_text())
    found = {overlap["sha256"] for overlap in report.pop("left_out")}
    write_json(path, report)
    assert benchmark_pictures(data / "audits") == found
    write_json(path, {**report, "remove": False})
    assert benchmark_pictures(data / "audits") == set()


def test_audit__says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CurationError, match="no dataset to audit"):
        audit(tmp_path, tmp_path, remove=False)
    data = make_data(tmp_path / "data", range(1, 4))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CurationError, match="no readable picture"):
        audit(tmp_path / "empty", data, remove=False)


def test_audit__shard_that_cannot_be_read_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.dataset._SHARD_ROWS", 4)
    data = make_data(tmp_path / "data", range(1, 20))
    shard = ShardedTable((data / "pair_dataset").resolve()).shards[0]
    damage((data / "pair_dataset" / f"{shard.name}.parquet").resolve(), "anchor", [0])
    with pytest.raises(CurationError, match=f"cannot be compared: .*{shard.name}"):
        audit(_benchmark(tmp_path / "bench"), data, remove=False)
