"""The Kaggle set's layout → a pair dataset that the encoder's reader opens, with nothing made up."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curation.__main__ import main
from curation.anchor_cloth import SITE, import_anchor_cloth
from curation.errors import CurationError
from curation.options import VARIABLE
from curation.versions import Versions
from tests.curation.builders import picture
from tests.curation.data_folder import make_data


def write(folder: Path, side: str, count: int, name: Callable[[int], str] = "{}.jpg".format, seed: int = 0) -> None:
    (folder / side).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / side / name(number)).write_bytes(picture(seed + number))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two kinds, one of them for men and women, laid out as the archive is."""
    root = tmp_path / "archive"
    places = (
        "bags_dataset/bags_dataset/men_bags",
        "bags_dataset/bags_dataset/women_bags",
        "dress_dataset/dress_dataset",
    )
    for number, place in enumerate(places):
        write(root / place, "anchors", 8, seed=1000 * number)
        write(root / place, "cloths", 8, seed=1000 * number + 500)
    return root


def rows_of(out: Path) -> list[dict]:
    files = sorted((out / "pair_dataset").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_import_anchor_cloth__every_pair_with_what_is_known(archive: Path, tmp_path: Path) -> None:
    done = import_anchor_cloth(archive, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert sum(done["rows"].values()) == len(rows) == 24
    assert done["left_out"] == {}
    assert {(row["category"], row["product_id"].split("/")[0]) for row in rows} == {
        ("bag", "bags_dataset"),
        ("dress", "dress_dataset"),
    }
    (row,) = [row for row in rows if row["product_id"] == "dress_dataset/dress_dataset/cloths/3"]
    assert row["anchor"]["bytes"] == picture(2003)
    assert row["positive"]["bytes"] == picture(2503)
    assert row["site"] == SITE
    unknown = ("product_url", "box", "detector_score", "classifier_probability", "verification_score", "anchor_phash")
    assert {row[name] for name in unknown} == {None}
    assert (row["post_url"], row["detector_version"], row["classifier_version"]) == ("", "", "")
    assert len({row["post_id"] for row in rows}) == 24


def test_import_anchor_cloth__terms_are_not_cleared(archive: Path, tmp_path: Path) -> None:
    import_anchor_cloth(archive, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "pair_dataset" / "manifest.json").read_text())
    assert manifest["sources"][SITE]["commercial"] is False
    assert "not cleared" in (tmp_path / "out" / "pair_dataset" / "README.md").read_text()


def test_import_anchor_cloth__a_cloth_or_an_anchor_that_comes_again_stays_in_one_split(tmp_path: Path) -> None:
    root = tmp_path / "archive" / "shorts_dataset" / "shorts_dataset" / "men_shorts"
    write(root, "anchors", 30)
    write(root, "cloths", 30, seed=500)
    for number in range(10, 20):  # ten anchors of one cloth
        (root / "cloths" / f"{number}.jpg").write_bytes(picture(999))
    (root / "anchors" / "21.jpg").write_bytes(picture(20))  # an anchor of two cloths
    import_anchor_cloth(tmp_path / "archive", tmp_path / "out")
    rows = {row["product_id"].rsplit("/", 1)[1]: row for row in rows_of(tmp_path / "out")}
    assert len({rows[str(number)]["product_cluster_id"] for number in range(10, 20)}) == 1
    assert len({rows[str(number)]["split"] for number in range(10, 20)}) == 1
    assert rows["20"]["split"] == rows["21"]["split"]


def test_import_anchor_cloth__pairs_by_number_and_counts_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "archive" / "upperwear_dataset" / "upperwear_dataset" / "women_top"
    write(root, "models", 6, "model_{}.jpg".format)
    write(root, "cloths", 5, "cloth_{:03d}.jpg".format, seed=500)
    (root / "cloths" / "cloth_001.jpg").write_bytes(b"no picture")
    done = import_anchor_cloth(tmp_path / "archive", tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert done["left_out"] == {"unpaired": 1, "not_an_image": 1}
    assert {row["category"] for row in rows} == {"top"}
    (row,) = [row for row in rows if row["product_id"].endswith("cloth_004")]
    assert (row["anchor"]["bytes"], row["positive"]["bytes"]) == (picture(4), picture(504))


def test_import_anchor_cloth__the_encoder_reads_it(archive: Path, tmp_path: Path) -> None:
    from models.encoder.data import PairPictures, read_keys

    import_anchor_cloth(archive, tmp_path / "out")
    keys = read_keys(tmp_path / "out" / "pair_dataset", "train")
    pictures = PairPictures(keys, (32, 32))
    assert pictures.anchors.shape == (len(keys), 32, 32, 3)
    assert set(keys.categories.tolist()) == {"bag", "dress"}


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({}, "has no folder cloths with pictures"),
        ({"pants_dataset/cloths": 2}, "must be one folder of anchors, found none"),
        ({"pants_dataset/cloths": 2, "pants_dataset/a": 2, "pants_dataset/b": 2}, "found a, b"),
        ({"hats_dataset/cloths": 2, "hats_dataset/anchors": 2}, "named after one of bags, dress"),
    ],
)
def test_import_anchor_cloth__what_will_not_do(
    tmp_path: Path, layout: dict[str, int], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, count in layout.items():
        write(tmp_path / "archive" / place, ".", count)
    assert main(["import-pairs", str(tmp_path / "archive"), "--data", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_import_pairs__never_into_the_folder_of_the_environment(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shop"))
    with pytest.raises(SystemExit, match="2"):
        main(["import-pairs", str(archive)])
    assert "required: --data" in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_import_anchor_cloth__dataset_of_a_shop_stays(archive: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "shop", range(1, 12))
    with pytest.raises(CurationError, match="pair_dataset: holds pairs of kream; give --data"):
        import_anchor_cloth(archive, data)
    assert Versions(data / "pair_dataset").names == ["0001"]
    assert not (data / "pairs" / "anchor_cloth").exists()


def test_import_anchor_cloth__the_same_again_makes_no_version(archive: Path, tmp_path: Path) -> None:
    assert [import_anchor_cloth(archive, tmp_path / "out")["version"] for _ in range(2)] == ["0001", "0001"]


def test_import_anchor_cloth__names_that_do_not_meet(tmp_path: Path) -> None:
    write(tmp_path / "dress_dataset", "anchors", 2, "{}_front.jpg".format)
    write(tmp_path / "dress_dataset", "cloths", 2, lambda number: f"{'ab'[number]}.jpg")
    with pytest.raises(CurationError, match="no two files share a name or a number"):
        import_anchor_cloth(tmp_path, tmp_path / "out")
