"""The stage that hashes, where a shard fails; and the one that joins near-duplicates, where there are none, and where
what was joined is gone since."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg

from assets.dedup import duplicate_clusters
from assets.dedup import image_hashes as real_image_hashes
from assets.io_manager import ReferenceIOManager
from assets.pictures import tiles_metadata
from assets.resources import DataFolder, Engine
from curation.engine import map_shards
from curation.images import encode_jpeg
from curation.schemas import CATALOG, POSTS
from curation.tables import ShardedTable, rows_to_batch, write_shard
from tests.curation.builders import damage, picture, picture_row, scene


@dg.asset
def image_hashes(data: DataFolder) -> ShardedTable:
    """Of two photos that have nothing in common."""
    rows = [picture_row(post, "photo", 0, picture(post)) for post in (1, 2)]
    posts = data.table("crawl/posts")
    write_shard(posts.root, "kream/000000", POSTS, [rows_to_batch(rows, POSTS)], fingerprint="f")
    map_shards("curation.hashing:HashImages", [posts], data.table("dedup/image_hashes/posts").root, mode="exact")
    return data.table("dedup/image_hashes")


@dg.asset(name="image_hashes")
def hashes_of_a_delisted_product(data: DataFolder) -> ShardedTable:
    """Of two posts that show thumbnails of the catalog, one of which the shop no longer lists."""
    shown = {number: encode_jpeg(scene(number), 95) for number in (1, 2)}
    posts, catalog = data.table("crawl/posts"), data.table("crawl/catalog")
    tagged = [picture_row(post, "product", 0, encode_jpeg(scene(post), 90), product_id=str(post)) for post in shown]
    write_shard(posts.root, "kream/000000", POSTS, [rows_to_batch(tagged, POSTS)], fingerprint="f")
    listed = [{name: row[name] for name in CATALOG.names} for row in map(_listed, shown, shown.values())]
    write_shard(catalog.root, "kream/hat", CATALOG, [rows_to_batch(listed, CATALOG)], fingerprint="f")
    for name, table in (("posts", posts), ("catalog", catalog)):
        output = data.table(f"dedup/image_hashes/{name}").root
        map_shards("curation.hashing:HashImages", [table], output, mode="exact")
    write_shard(catalog.root, "kream/hat", CATALOG, [rows_to_batch(listed[1:], CATALOG)], fingerprint="g")
    return data.table("dedup/image_hashes")


def _listed(number: int, shown: bytes) -> dict[str, Any]:
    row = picture_row(number, "product", 0, shown, product_id=str(number))
    return row | {"shop_category_id": 1, "category": "hat"}


def _crawled(name: str, table: str) -> dg.AssetsDefinition:
    @dg.asset(name=name)
    def crawled(data: DataFolder) -> ShardedTable:
        return data.table(table)

    return crawled


def test_image_hashes__shard_of_the_catalog_that_fails_is_told(tmp_path: Path) -> None:
    data = DataFolder(root=str(tmp_path))
    photos = [picture_row(1, "photo", 0, picture(1))]
    write_shard(tmp_path / "crawl/posts", "kream/hat", POSTS, [rows_to_batch(photos, POSTS)], fingerprint="f")
    for name in ("kream/bag", "kream/hat"):
        listed = [{name: row[name] for name in CATALOG.names} for row in [_listed(2, picture(2))]]
        write_shard(tmp_path / "crawl/catalog", name, CATALOG, [rows_to_batch(listed, CATALOG)], fingerprint="f")
    damage(tmp_path / "crawl/catalog/kream/hat.parquet", "bytes", [0])
    sources = [("kream_posts", "posts"), ("onthelook_posts", "posts"), ("kream_catalog", "catalog")]
    assets = [_crawled(name, f"crawl/{table}") for name, table in sources]
    resources = {"data": data, "engine": Engine(), "io_manager": ReferenceIOManager(data=data)}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [*assets, real_image_hashes], resources=resources, instance=instance, raise_on_error=False
        )
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("no_failed_shard", False)
    (made,) = done.asset_materializations_for_node("image_hashes")
    shown = ("rows_in", "rows_kept", "shards_made", "shards_failed")
    assert [made.metadata[name].value for name in shown] == [3, 2, 2, 1]
    assert list(made.metadata["errors"].value) == ["catalog/kream/hat"]


def _clusters_made_after(hashes: dg.AssetsDefinition, tmp_path: Path) -> dg.AssetMaterialization:
    data = DataFolder(root=str(tmp_path))
    resources = {"data": data, "io_manager": ReferenceIOManager(data=data)}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([hashes, duplicate_clusters], resources=resources, instance=instance)
    (made,) = done.asset_materializations_for_node("duplicate_clusters")
    return made


def test_duplicate_clusters__every_picture_is_its_own(tmp_path: Path) -> None:
    made = _clusters_made_after(image_hashes, tmp_path)
    assert made.metadata["rows_kept"].value == 2
    assert "there are none" in str(made.metadata["near_duplicates"].value)


def test_duplicate_clusters__a_picture_that_is_gone_is_not_shown(tmp_path: Path) -> None:
    with patch("assets.dedup.tiles_metadata", wraps=tiles_metadata) as drawn:
        made = _clusters_made_after(hashes_of_a_delisted_product, tmp_path)
    assert made.metadata["rows_dropped"].value == 2
    assert [data for data, _ in drawn.call_args.args[0]] == [encode_jpeg(scene(2), 95), encode_jpeg(scene(2), 90)]
