"""Stage dedup: hashes of everything crawled, and which pictures are one."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal

import dagster as dg
import pyarrow.compute as pc
from pydantic import Field

from assets.pictures import tiles_metadata
from assets.resources import DataFolder, Engine
from assets.stage import Check, Outcome, Rows, mapped, no_failed_shard, reasons_table, stage
from curation.crawled import pictures_by_sha
from curation.dedup import DuplicateIndex
from curation.engine import MapReport
from curation.leaders import Evidence
from curation.tables import ShardedTable

LARGEST_CLUSTER_SHARE = 0.02
"""A cluster above this share of all pictures is a chain or a placeholder, not a photo that many people reposted."""
_SHEET_PAIRS = 16


class Hashing(dg.Config):
    """How pictures are hashed."""

    mode: Literal["exact", "fast"] = Field(
        "exact", description="fast: JPEGs decoded at reduced scale, a few bits may differ"
    )


@stage("dedup", kinds={"parquet", "numpy"}, checks={"no_failed_shard": "Every shard was hashed."}, automatic=True)
def image_hashes(
    context: dg.AssetExecutionContext,
    config: Hashing,
    data: DataFolder,
    engine: Engine,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
    kream_catalog: ShardedTable,
) -> Outcome:
    """Perceptual hash, colour layout, sharpness and blank flag of every picture that was crawled."""
    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    posts = data.posts()
    hashes = data.table("dedup/image_hashes")
    made = {}
    for name, table in (("catalog", kream_catalog), ("posts", posts)):
        output = data.table(f"dedup/image_hashes/{name}")
        made[name] = engine.map(context, "curation.hashing:HashImages", [table], output, mode=config.mode)
    report = _both(hashes, made)
    outcome = mapped(report, posts.rows + kream_catalog.rows, no_failed_shard=no_failed_shard(report))
    blank = sum(pc.sum(batch["blank"]).as_py() or 0 for batch in hashes.batches(["blank"]))
    kept = hashes.counts.get("kept", 0)
    rows = Rows(outcome.rows.entered, kept, outcome.rows.entered - kept)
    return Outcome(hashes, rows, {**outcome.metadata, "blank": blank}, outcome.checks)


def _both(hashes: ShardedTable, made: Mapping[str, MapReport]) -> MapReport:
    """One report of what made the parts of a table, by the folder of each part."""
    reports = made.values()
    failed = {f"{folder}/{name}": error for folder, report in made.items() for name, error in report.failed.items()}
    return MapReport(hashes, sum(part.made for part in reports), sum(part.skipped for part in reports), failed)


@stage(
    "dedup",
    kinds={"parquet", "numpy"},
    checks={"clusters_do_not_chain": f"No cluster holds more than {LARGEST_CLUSTER_SHARE:.0%} of the pictures."},
    pool="duplicates",  # of two updates at once, the one that ends last forgets what the other one found
    automatic=True,
)
def duplicate_clusters(data: DataFolder, image_hashes: ShardedTable) -> Outcome:
    """Near-duplicate clusters of photos and of thumbnails over everything crawled so far."""
    del image_hashes  # lies in the folder
    index = DuplicateIndex(data.table("dedup").root)
    done = index.update()
    counts = dict(done.counts)
    largest = counts.pop("largest_cluster")
    pictures, joined = sum(counts.values()), counts.get(Evidence.NEAR_DUPLICATE, 0)
    few = max(10, LARGEST_CLUSTER_SHARE * pictures)  # a handful of reposts is no chain, however small the table
    facts = {
        "evidence": reasons_table(counts),
        "largest_cluster": largest,
        "shards_made": done.made,
        "shards_up_to_date": done.kept,
        "pictures_compared": done.joined,
        "near_duplicates": _duplicates_sheet(data, done.table),
    }
    check = Check(largest <= few, f"largest cluster: {largest} of {pictures} pictures")
    return Outcome(done.table, Rows(pictures, pictures - joined, joined), facts, {"clusters_do_not_chain": check})


def _duplicates_sheet(data: DataFolder, clusters: ShardedTable) -> dg.MarkdownMetadataValue:
    """Near-duplicates, each beside the picture that represents it; a crawl may have lost one since it was hashed."""
    copies = list(islice(_copies(clusters), _SHEET_PAIRS))
    wanted = {row[key] for row in copies for key in ("sha256", "cluster_id")}
    pictures = pictures_by_sha(data.posts(), wanted) | pictures_by_sha(data.table("crawl/catalog"), wanted)
    tiles = []
    for row in (row for row in copies if pictures.keys() >= {row["sha256"], row["cluster_id"]}):
        tiles.append((pictures[row["cluster_id"]], f"kept: {row['kept_because']}"))
        tiles.append((pictures[row["sha256"]], f"{row['phash_distance']} bits off"))
    return tiles_metadata(tiles, "near-duplicates beside what represents them", columns=8)


def _copies(clusters: ShardedTable) -> Any:
    """CLUSTERS rows of near-duplicates."""
    for batch in clusters.batches(["sha256", "cluster_id", "kept_because", "phash_distance", "evidence"]):
        yield from batch.filter(pc.equal(batch["evidence"], Evidence.NEAR_DUPLICATE)).to_pylist()
