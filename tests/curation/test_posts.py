"""Posts are walked in step with what was derived from them, whichever of both is newer."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from curation.posts import posts_in_step
from curation.tables import Shard, write_shard


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
