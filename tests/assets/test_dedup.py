"""The stage that joins near-duplicates, where there are none: a first crawl of a few posts."""

from pathlib import Path

import dagster as dg

from assets.dedup import duplicate_clusters
from assets.io_manager import ReferenceIOManager
from assets.resources import DataFolder
from curation.engine import map_shards
from curation.schemas import POSTS
from curation.tables import ShardedTable, rows_to_batch, write_shard
from tests.curation.builders import picture, picture_row


@dg.asset
def image_hashes(data: DataFolder) -> ShardedTable:
    """Of two photos that have nothing in common."""
    rows = [picture_row(post, "photo", 0, picture(post)) for post in (1, 2)]
    posts = data.table("crawl/posts")
    write_shard(posts.root, "kream/000000", POSTS, [rows_to_batch(rows, POSTS)], fingerprint="f")
    map_shards("curation.hashing:HashImages", [posts], data.table("dedup/image_hashes/posts").root, mode="exact")
    return data.table("dedup/image_hashes")


def test_duplicate_clusters__every_picture_is_its_own(tmp_path: Path) -> None:
    data = DataFolder(root=str(tmp_path))
    resources = {"data": data, "io_manager": ReferenceIOManager(data=data)}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([image_hashes, duplicate_clusters], resources=resources, instance=instance)
    (made,) = done.asset_materializations_for_node("duplicate_clusters")
    assert made.metadata["rows_kept"].value == 2
    assert "there are none" in str(made.metadata["near_duplicates"].value)
