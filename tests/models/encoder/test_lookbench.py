"""LookBench in its own file format, and its measures on rankings worked out by hand."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.images import encode_jpeg
from models.__main__ import main
from models.encoder.infer import Encoder
from models.encoder.lookbench import SUBSETS, evaluate_lookbench, find_release, measure
from models.errors import DataError
from models.presets import preset
from models.run import train
from tests.models import toys
from tests.models.conftest import TINY

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        ("image", IMAGE),
        ("category", pa.string()),
        ("main_attribute", pa.string()),
        ("other_attributes", pa.string()),
        ("bbox", pa.string()),
        ("item_ID", pa.string()),
        ("task", pa.string()),
        ("difficulty", pa.string()),
    ]
)


def row(category, product, attribute, item=None):
    return {
        "image": {"bytes": encode_jpeg(toys.thumbnail(category, product)), "path": None},
        "category": category.capitalize(),
        "main_attribute": attribute,
        "other_attributes": "[]",
        "bbox": "[0, 0, 240, 240]",
        "item_ID": item or f"{category}-{product}",
        "task": "single",
        "difficulty": "easy",
    }


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A release with two subsets: their queries are among the gallery, and so first under any encoder."""
    root = tmp_path_factory.mktemp("lookbench") / "v20251201"
    for subset, category in (("real_studio_flat", "top"), ("real_streetlook", "shoes")):
        write(root / subset / "query.parquet", [row(category, number, f"kind {number % 2}") for number in (1, 2, 3)])
        gallery = [row(category, number, f"Kind {number % 2} ") for number in range(1, 7)]
        write(root / subset / "gallery.parquet", gallery)
    noise = {**row("bag", 9, "noise"), "category": "noise data"}
    write(root / "noise" / "gallery-00000.parquet", [noise, {**noise, "category": None, "item_ID": "top-1"}])
    return root


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    pairs = toys.pair_dataset(folder / "pairs", products=5)
    values = preset("encoder", "tiny", **{**TINY, "steps": 1, "batch": 8, "processes": 1, "distractors": 0})
    train("encoder", values, pairs, folder / "encoder")
    return folder / "encoder"


def test_evaluate_lookbench__per_subset_and_overall(bench, encoder):
    found = evaluate_lookbench(Encoder.load(encoder), bench.parent)
    assert found["release"] == "v20251201"
    assert found["galleries"] == {"real_studio_flat": 8, "real_streetlook": 8}
    for level in ("fine", "coarse", "item"):
        assert found[level]["overall"]["queries"] == 6
        assert set(found[level]["by_subset"]) == {"real_studio_flat", "real_streetlook"}
        assert found[level]["overall"]["r@1"]["mean"] == 1.0
    shoes = found["coarse"]["by_subset"]["real_streetlook"]
    assert shoes["clusters"] == 3
    assert shoes["ndcg@5"]["low"] <= shoes["ndcg@5"]["mean"] <= shoes["ndcg@5"]["high"]


def test_main__lookbench(bench, encoder, capsys):
    assert main(["lookbench", "--data", str(bench), "--encoder", str(encoder)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["encoder"] == Encoder.load(encoder).version
    assert answer["item"]["overall"]["mrr@20"]["mean"] == 1.0


def test_main__lookbench_of_nothing(tmp_path, encoder, capsys):
    assert main(["lookbench", "--data", str(tmp_path), "--encoder", str(encoder)]) == 2
    assert "none of LookBench's subsets" in capsys.readouterr().err


def test_find_release__without_noise(tmp_path):
    (tmp_path / SUBSETS[0]).mkdir()
    with pytest.raises(DataError, match="without it every gallery is easier"):
        find_release(tmp_path)


def test_evaluate_lookbench__a_column_is_missing(bench, encoder, tmp_path):
    (tmp_path / "noise").symlink_to(bench / "noise")
    write(tmp_path / SUBSETS[0] / "query.parquet", [row("top", 1, "x")])
    pq.write_table(pa.table({"image": pa.array([], IMAGE)}), tmp_path / SUBSETS[0] / "gallery.parquet")
    with pytest.raises(DataError, match="lacks the columns category, item_ID, main_attribute"):
        evaluate_lookbench(Encoder.load(encoder), tmp_path)


def on_a_line(order, labels, wanted="a"):
    """Measures of one query whose gallery is ranked as `labels` are ordered."""
    angles = np.linspace(0.1, 1.0, len(labels))[np.argsort(order)]
    gallery = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    query = np.array([[1.0, 0.0]], np.float32)
    found = measure(query, np.array([wanted]), gallery, np.array(labels))
    return {name: float(values[0]) for name, values in found.items()}


def test_measure__worked_out_by_hand():
    found = on_a_line([0, 1, 2, 3, 4, 5], ["b", "a", "b", "a", "b", "b"])
    assert (found["r@1"], found["r@5"], found["mrr@20"]) == (0.0, 1.0, 0.5)
    assert found["map@20"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    ideal = 1 + 1 / math.log2(3)
    assert found["ndcg@5"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)


def test_measure__stops_at_its_rank():
    """Twenty-four right ones, all behind the twenty first: nothing counts, though plain MRR would be 1/21."""
    assert set(on_a_line(range(44), ["b"] * 20 + ["a"] * 24).values()) == {0.0}
    found = on_a_line(range(44), ["b"] * 19 + ["a"] * 25)
    assert (found["r@10"], found["r@20"], found["mrr@20"]) == (0.0, 1.0, 1 / 20)
    assert found["map@20"] == pytest.approx(1 / 20 / 20)  # of at most twenty that could be found
    assert found["ndcg@5"] == 0.0


def test_measure__nothing_right_in_the_gallery():
    assert set(on_a_line([0, 1], ["b", "c"]).values()) == {0.0}


def test_measure__of_equals_the_wrong_ones_first():
    gallery = np.array([[1.0, 0.0]] * 30, np.float32)
    labels = np.array(["a"] * 10 + ["b"] * 20)
    found = measure(gallery[:1], np.array(["a"]), gallery, labels)
    assert found["r@20"][0] == 0.0
