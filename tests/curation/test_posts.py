"""Posts are walked in step with what was derived from them, whichever of both is newer."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from curation.posts import posts_in_step
from curation.tables import Shard, write_shard
from tests.curation.builders import damage


def _shard(root: Path, name: str, posts: Iterable[int]) -> Shard:
    """Two rows of each post."""
    rows = [{"post_id": post, "row": f"{name} {post}.{place}"} for post in posts for place in (0, 1)]
    batch = pa.RecordBatch.from_pylist(rows, pa.schema([("post_id", pa.int64()), ("row", pa.string())]))
    return write_shard(root, name, batch.schema, [batch], fingerprint=name)


@pytest.mark.parametrize(
    ("derived", "found"),
    [
        ([1, 3, 4, 5], [1, 3, 4, 5]),
        ([1, 2, 3, 4, 5], [1, 3, 4, 5]),  # 2 is gone since
        ([0, 2, 3, 6, 7], [3]),
        ([4], [4]),  # the others gave no row
        ([], []),
    ],
)
def test_posts_in_step__by_post_id(derived: list[int], found: list[int], tmp_path: Path) -> None:
    shards = _shard(tmp_path, "posts", [1, 3, 4, 5]), _shard(tmp_path, "crops", derived)
    walked = {posts[0]["post_id"]: (posts, crops) for posts, crops in posts_in_step(*shards)}
    assert [len(posts) for posts, _ in walked.values()] == [2, 2, 2, 2]
    told = {post: [row["row"] for row in crops] for post, (_, crops) in walked.items() if crops}
    assert told == {post: [f"crops {post}.0", f"crops {post}.1"] for post in found}


def test_posts_in_step__only_the_asked_for(tmp_path: Path) -> None:
    shards = _shard(tmp_path, "posts", [1, 3, 4, 5]), _shard(tmp_path, "crops", [0, 2, 3, 4])
    walked = [[row["row"] for rows in tables for row in rows] for tables in posts_in_step(*shards, only=[0, 3, 5])]
    three = ["posts 3.0", "posts 3.1", "crops 3.0", "crops 3.1"]
    assert walked == [three, ["posts 5.0", "posts 5.1"]]
    assert not list(posts_in_step(*shards, only=[]))


def test_posts_in_step__rows_of_other_posts_are_not_read(tmp_path: Path) -> None:
    shard = _shard(tmp_path, "posts", range(500))  # four groups of 256 rows
    damage(shard.path, "row", [0, 2, 3])
    with pytest.raises(OSError, match="deserialize"):
        list(posts_in_step(shard))
    assert [posts[0]["post_id"] for (posts,) in posts_in_step(shard, only=[128, 200, 255])] == [128, 200, 255]
