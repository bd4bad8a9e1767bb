"""Walking shards that hold the same posts: each post's rows from several tables, one post in memory at a time."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from curation.tables import Shard

Row = dict[str, Any]


def posts_in_step(posts: Shard, *derived: Shard) -> Iterator[list[list[Row]]]:
    """Walk shards in order of post id.

    A derived shard may be older than `posts`, as while a crawl is under way: it may lack posts, and hold some that are
    gone.

    Yields:
        For each post of `posts` its rows, then its rows in each of `derived` (none if it has none there).
    """
    streams = [_Posts(shard) for shard in derived]
    for post_id, rows in groupby(_rows(posts), key=itemgetter("post_id")):
        yield [list(rows), *(stream.take(post_id) for stream in streams)]


class _Posts:
    """The rows of a shard, post by post, taken by ids that rise."""

    def __init__(self, shard: Shard) -> None:
        self._groups = groupby(_rows(shard), key=itemgetter("post_id"))
        self._next = next(self._groups, None)

    def take(self, post_id: int) -> list[Row]:
        while self._next is not None and self._next[0] < post_id:  # is gone since
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != post_id:
            return []
        rows = list(self._next[1])
        self._next = next(self._groups, None)
        return rows


def _rows(shard: Shard) -> Iterator[Row]:
    for batch in shard.batches():
        yield from batch.to_pylist()
