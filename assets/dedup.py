"""Stage dedup: hashes of everything crawled, and which pictures are one."""

from typing import Any

import dagster as dg

from assets.crawl import all_posts
from assets.pictures import picture_metadata, sheet
from assets.resources import DataFolder, Engine
from assets.stage import Check, Outcome, Rows, mapped, no_failed_shard, reasons_table, stage
from curation.crawled import pictures_by_sha
from curation.duplicates import cluster
from curation.schemas import CLUSTERS
from curation.tables import ShardedTable, write_shard

LARGEST_CLUSTER_SHARE = 0.02
"""A cluster above this share of all pictures is a chain or a placeholder, not a photo that many people reposted."""
_SHEET_PAIRS = 16


@stage("dedup", kinds={"parquet", "numpy"}, checks={"no_failed_shard": "Every shard was hashed."})
def image_hashes(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    engine: Engine,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
    kream_catalog: ShardedTable,
) -> Outcome:
    """Perceptual hash, colour layout, sharpness and blank flag of every picture that was crawled."""
    posts = all_posts(data, onthelook_posts, kream_posts)
    output = data.path / "dedup" / "image_hashes"
    step = "curation.hashing:HashImages"
    engine.map(context, step, [kream_catalog], output / "catalog")
    report = engine.map(context, step, [posts], output / "posts")
    hashes = data.table("dedup/image_hashes")
    outcome = mapped(report, posts.rows + kream_catalog.rows, no_failed_shard=no_failed_shard(report))
    blank = sum(hashes.table(["blank"])["blank"].to_pylist())
    kept = hashes.counts.get("kept", 0)
    rows = Rows(outcome.rows.entered, kept, outcome.rows.entered - kept)
    return Outcome(hashes, rows, {**outcome.metadata, "blank": blank}, outcome.checks)


@stage(
    "dedup",
    kinds={"parquet", "numpy"},
    checks={"clusters_do_not_chain": f"No cluster holds more than {LARGEST_CLUSTER_SHARE:.0%} of the pictures."},
)
def duplicate_clusters(data: DataFolder, image_hashes: ShardedTable) -> Outcome:
    """Near-duplicate clusters of photos and of thumbnails over everything crawled so far."""
    clusters = cluster(image_hashes.table())
    root = data.path / "dedup" / "duplicate_clusters"
    write_shard(root, "all", CLUSTERS, [clusters], fingerprint=image_hashes.fingerprint)
    evidence = clusters["evidence"].value_counts().to_pylist()
    members = clusters["cluster_id"].value_counts().to_pylist()
    largest = max(row["counts"] for row in members)
    joined = sum(row["counts"] for row in evidence if row["values"] == "near_duplicate")
    few = max(10, LARGEST_CLUSTER_SHARE * len(clusters))  # a handful of reposts is no chain, however small the table
    facts = {
        "evidence": reasons_table({row["values"]: row["counts"] for row in evidence}),
        "largest_cluster": largest,
        "near_duplicates": _duplicates_sheet(data, clusters.to_pylist()),
    }
    check = Check(largest <= few, f"largest cluster: {largest} of {len(clusters)} pictures")
    rows = Rows(len(clusters), len(clusters) - joined, joined)
    return Outcome(ShardedTable(root), rows, facts, {"clusters_do_not_chain": check})


def _duplicates_sheet(data: DataFolder, clusters: list[dict[str, Any]]) -> dg.MarkdownMetadataValue:
    """Near-duplicates, each beside the picture that represents it."""
    copies = [row for row in clusters if row["evidence"] == "near_duplicate"][:_SHEET_PAIRS]
    wanted = {row[key] for row in copies for key in ("sha256", "cluster_id")}
    pictures = pictures_by_sha(all_posts(data), wanted) | pictures_by_sha(data.table("crawl/catalog"), wanted)
    tiles = []
    for row in copies:
        tiles.append((pictures[row["cluster_id"]], "kept"))
        tiles.append((pictures[row["sha256"]], f"{row['phash_distance']} bits off"))
    return picture_metadata(sheet(tiles, columns=8), "near-duplicates beside what represents them")
