"""Photos for the search page and the report: of test pairs, as far as they are still there."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.tables import ShardedTable
from search.examples import example_queries
from tests.curation.builders import picture, picture_row, sha
from tests.curation.data_folder import write_table


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Test pairs of two posts, one of which tags two products."""
    pairs = [
        {"site": "kream", "post_id": post, "anchor_sha256": sha(picture(post)), "product_id": product}
        for post, product in ((1, "1"), (2, "2"), (2, "3"))
    ]
    (tmp_path / "pair_dataset").mkdir()
    pq.write_table(pa.Table.from_pylist(pairs), tmp_path / "pair_dataset" / "test-00000-abc.parquet")
    return tmp_path / "pair_dataset"


@pytest.mark.parametrize("left", [[1, 2], [1], []])
def test_example_queries__photos_that_are_there(left: list[int], dataset: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "posts", "000000", [picture_row(number, "photo", 0, picture(number)) for number in left])
    found = example_queries(dataset, ShardedTable(tmp_path / "posts"), 9)
    tagged = {1: {"kream-1"}, 2: {"kream-2", "kream-3"}}
    assert [(query.photo, query.title, query.expected) for query in found] == [
        (picture(number), f"kream post {number}", tagged[number]) for number in reversed(left)
    ]
