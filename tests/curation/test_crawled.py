"""Look-ups in crawl tables: only what is asked for is read."""

from pathlib import Path

from curation.crawled import pictures_by_sha
from curation.schemas import POSTS
from curation.tables import ShardedTable, rows_to_batch, write_shard
from tests.curation.builders import picture_row, sha


def test_pictures_by_sha__from_several_shards_and_row_groups(tmp_path: Path) -> None:
    pictures = [b"picture %d" % number for number in range(600)]
    for name, part in (("kream/0", pictures[:400]), ("kream/1", pictures[300:])):
        rows = [picture_row(number, "photo", 0, data) for number, data in enumerate(part)]
        write_shard(tmp_path, name, POSTS, [rows_to_batch(rows, POSTS)], fingerprint=name)
    wanted = {sha(pictures[place]): pictures[place] for place in (0, 350, 399, 599)}
    assert pictures_by_sha(ShardedTable(tmp_path), [*wanted, sha(b"not there")]) == wanted
    assert pictures_by_sha(ShardedTable(tmp_path), []) == {}
