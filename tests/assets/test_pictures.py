"""What the UI shows of the classifier and of comparisons."""

from pathlib import Path

import pyarrow as pa
import pytest

from assets.pictures import (
    differences_table,
    disagreements_metadata,
    reliability_metadata,
    spread,
    spread_rows,
    tiles_metadata,
)
from curation.tables import ShardedTable, rows_to_batch, write_shard
from tests.curation.builders import picture
from tests.models import toys

PICTURE = "](data:image/jpeg;base64,"


def _disagreement(product: str, *, wrong: bool = False) -> dict[str, object]:
    return {"product_id": product, "shop": "bag", "predicted": "hat", "probability": 0.9, "shop_is_wrong": wrong}


def test_disagreements__as_pictures_and_as_a_table(tmp_path: Path) -> None:
    catalog = toys.catalog_table(tmp_path, per_class=1)
    facts = disagreements_metadata([_disagreement("0", wrong=True), _disagreement("gone")], catalog)
    assert PICTURE in (facts["disagreements"].value or "")
    table = facts["disagrees_with_the_shop"].value or ""
    assert "| 0 | bag | hat | 0.900 | yes |" in table
    assert "| gone | bag | hat | 0.900 |  |" in table


def test_disagreements__none(tmp_path: Path) -> None:
    facts = disagreements_metadata([], toys.catalog_table(tmp_path, per_class=1))
    assert facts["disagreements"].value == "disagreements: there are none"


def test_tiles__what_is_no_picture_is_left_out() -> None:
    assert PICTURE in (tiles_metadata([(b"torn", "a"), (picture(1), "b")], "crops").value or "")
    assert tiles_metadata([(b"torn", "a")], "crops").value == "crops: there are none"


@pytest.mark.parametrize("shards", [0, 1, 5, 7, 28, 142])
def test_spread__from_the_first_shard_to_the_last(tmp_path: Path, shards: int) -> None:
    schema = pa.schema([("n", pa.int64())])
    for number in range(shards):
        write_shard(tmp_path, f"{number:03d}", schema, [], fingerprint="")
    names = [shard.name for shard in spread(ShardedTable(tmp_path), 7)]
    assert len(set(names)) == len(names) == min(7, shards)
    assert names == sorted(names)
    assert {names[0], names[-1]} == {"000", f"{shards - 1:03d}"} if names else shards == 0


@pytest.mark.parametrize(("most", "numbers"), [(5, [1, 2, 3, 4, 5]), (4, [1, 2, 4, 5]), (2, [1, 4])])
def test_spread_rows__of_each_shard_as_many_and_none_without_a_picture(
    tmp_path: Path, most: int, numbers: list[int]
) -> None:
    schema = pa.schema([("picture", pa.binary()), ("n", pa.int64())])
    for name, first in (("a", 1), ("b", 4)):
        rows = [{"picture": b"torn", "n": first + number} for number in range(3)]
        write_shard(tmp_path, name, schema, [rows_to_batch([{"picture": None, "n": 0}, *rows], schema)], fingerprint="")
    table = ShardedTable(tmp_path)
    assert [row["n"] for row in spread_rows(table, ["picture", "n"], most)] == numbers


def test_reliability__a_picture() -> None:
    table = [{"rows": 3, "confidence": 0.5, "accuracy": 0.4}, {"rows": 9, "confidence": 0.9, "accuracy": 1.0}]
    assert PICTURE in (reliability_metadata(table, "after").value or "")


def test_differences_table__signs_intervals_and_p() -> None:
    of = {"mean": -0.1, "low": -0.2, "high": 0.0, "p": 0.04, "effect": -0.5, "better": 1, "worse": 9}
    shown = differences_table({"new - old": {"r@1": of}}).value or ""
    assert "| new - old | r@1 | -0.100 (-0.200 to +0.000) | 0.040 | -0.50 | 1 : 9 |" in shown
