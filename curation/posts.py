"""Walking shards that hold the same posts: each post's rows from several tables, one post in memory at a time."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.tables import Shard

Row = dict[str, Any]


def posts_in_step(posts: Shard, *derived: Shard, only: Iterable[int] | None = None) -> Iterator[list[list[Row]]]:
    """Walk shards in order of post id.

    A derived shard may be older than `posts`, as while a crawl is under way: it may lack posts, and hold some that are
    gone.

    Args:
        posts: what is walked.
        derived: shards of other tables.
        only: ids of the posts that are wanted; row groups without one are not read. None: all posts.

    Yields:
        For each post of `posts` its rows, then its rows in each of `derived` (none if it has none there).
    """
    wanted = None if only is None else pa.array(only, pa.int64())
    streams = [_Posts(shard, wanted) for shard in derived]
    for post_id, rows in groupby(_rows(posts, wanted), key=itemgetter("post_id")):
        yield [list(rows), *(stream.take(post_id) for stream in streams)]


class _Posts:
    """The rows of a shard, post by post, taken by ids that rise."""

    def __init__(self, shard: Shard, only: pa.Array | None) -> None:
        self._groups = groupby(_rows(shard, only), key=itemgetter("post_id"))
        self._next = next(self._groups, None)

    def take(self, post_id: int) -> list[Row]:
        while self._next is not None and self._next[0] < post_id:  # is gone since
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != post_id:
            return []
        rows = list(self._next[1])
        self._next = next(self._groups, None)
        return rows


def _rows(shard: Shard, only: pa.Array | None) -> Iterator[Row]:
    for batch in shard.batches() if only is None else _of_posts(shard, only):
        yield from batch.to_pylist()


def _of_posts(shard: Shard, only: pa.Array) -> Iterator[pa.Table]:
    """The rows of some posts: ids are read first, then the row groups that hold one of them."""
    wanted = pc.is_in(shard.table(["post_id"])["post_id"], only)
    start = 0
    with shard.open() as file:
        for group in range(file.num_row_groups):
            own = wanted.slice(start, file.metadata.row_group(group).num_rows)
            if pc.any(own).as_py():
                yield file.read_row_group(group).filter(own)
            start += len(own)
