"""Stage pairs: which crop shows which tagged product, and the versioned dataset of those that agree."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from assets.crawl import all_posts
from assets.pictures import picture_metadata, sheet
from assets.resources import DataFolder, Engine, Recipes, Terms
from assets.stage import Check, Outcome, Rows, mapped, no_failed_shard, reasons_table, stage
from curation.card import CARD
from curation.dataset import write_pair_dataset
from curation.dataset_plan import LEAK_COLUMNS, DatasetRules, leak_keys, photo_ties
from curation.pairing import PairingRules
from curation.selection import read_selection
from curation.sources import excluded_sources
from curation.splits import SplitShares, crossing_keys
from curation.tables import ShardedTable
from curation.versions import Versions

_SHEET_PAIRS = 18


class Splits(dg.Config):
    """How much of what is new is held out (what a version placed before stays there), and whose pairs to leave out."""

    validation: float = SplitShares().validation
    test: float = SplitShares().test
    exclude_sources: list[str] = Field([], description="sites whose pairs are left out")
    keep_versions: int = Field(10, ge=0, description="newest versions that stay, besides pinned ones; 0: all")


class Rules(dg.Config):
    """When a post is ambiguous and when a pair is not believed; see `curation.pairing.PairingRules`."""

    dominance: float = PairingRules.dominance
    least_agreement: float = PairingRules.least_agreement
    least_verification: float | None = None  # by default the recipe's


@stage(
    "pairs",
    kinds={"parquet"},
    checks={"no_failed_shard": "Every shard was paired.", "not_empty": "At least one pair was kept."},
)
def candidate_pairs(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    engine: Engine,
    recipes: Recipes,
    config: Rules,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
    post_crops: ShardedTable,
    thumbnail_categories: ShardedTable,
    duplicate_clusters: ShardedTable,
) -> Outcome:
    """Every tagged product with the crops that show it, or the reason why none does."""
    posts = all_posts(data, onthelook_posts, kream_posts)
    least = recipes.least_verification if config.least_verification is None else config.least_verification
    report = engine.map(
        context,
        "curation.pairing:PairCandidates",
        [posts, post_crops, thumbnail_categories],
        data.path / "pairs" / "candidate_pairs",
        clusters=str(duplicate_clusters.root),
        clusters_fingerprint=duplicate_clusters.fingerprint,
        dominance=config.dominance,
        least_agreement=config.least_agreement,
        least_verification=least,
    )
    kept = report.counts.get("kept", 0)
    checks = {"no_failed_shard": no_failed_shard(report), "not_empty": Check(kept > 0, f"{kept} pairs kept")}
    return mapped(
        report, report.table.rows, {"pairs": _pairs_sheet(report.table, "anchor_bytes", "positive_bytes")}, **checks
    )


@stage(
    "pairs",
    kinds={"parquet", "huggingface"},
    checks={
        "no_leak": "No post, product or near-duplicate cluster is in two splits.",
        "every_split": "Train, validation and test all have pairs.",
    },
)
def pair_dataset(
    data: DataFolder,
    terms: Terms,
    config: Splits,
    candidate_pairs: ShardedTable,
    image_hashes: ShardedTable,
    duplicate_clusters: ShardedTable,
) -> Outcome:
    """The anchor-positive pairs as versions of a dataset that `datasets.load_dataset` opens, with splits and a card."""
    link = data.path / "pair_dataset"
    sites = set(candidate_pairs.table(["site"])["site"].to_pylist())
    left_out = excluded_sources(terms.sources, sites, terms.commercial_only) | set(config.exclude_sources)
    shares = SplitShares(config.validation, config.test)
    rules = DatasetRules(shares, read_selection(data.path, left_out), terms.sources)
    manifest = write_pair_dataset(candidate_pairs, link, rules, photo_ties(image_hashes, duplicate_clusters))
    versions = Versions(link)
    out = versions.folder / manifest["version"]
    expired = versions.expire(config.keep_versions) if config.keep_versions else []
    rows = ShardedTable(out).table([*LEAK_COLUMNS, "split"])
    leaks = crossing_keys(leak_keys(rows), rows["split"].to_pylist())
    empty = [split for split, count in manifest["rows"].items() if not count]
    checks = {
        "no_leak": Check(not leaks, f"{len(leaks)} keys in two splits"),
        "every_split": Check(not empty, f"splits without pairs: {empty or 'none'}"),
    }
    facts = {
        "version": manifest["version"],
        "expired": ", ".join(expired) or "none",
        "since_the_version_before": reasons_table(manifest["difference"]),
        "splits": reasons_table(manifest["rows"]),
        "categories": reasons_table(manifest["rows_per_category"]),
        **({"left_out": reasons_table(manifest["left_out"])} if manifest["left_out"] else {}),
        "review": dg.MetadataValue.json(manifest["review"]),
        "card": _card(out),
    }
    kept = len(rows)
    return Outcome(out, Rows(candidate_pairs.rows, kept, candidate_pairs.rows - kept), facts, checks)


def _card(version: Path) -> dg.MarkdownMetadataValue:
    """The dataset card without its head and its picture, a file beside it that the UI cannot reach."""
    text = (version / CARD).read_text().split("---\n", 2)[-1]
    return dg.MetadataValue.md("\n".join(line for line in text.splitlines() if not line.startswith("![")))


def _pairs_sheet(table: ShardedTable, anchor: str, positive: str) -> dg.MarkdownMetadataValue:
    """Some of the kept pairs: anchor, positive, anchor, positive, …"""
    tiles: list[tuple[bytes, str]] = []
    for batch in table.batches([anchor, positive, "category", "verification_score"]):
        for row in batch.to_pylist():
            if row[anchor] is not None and len(tiles) < 2 * _SHEET_PAIRS:
                tiles.append((row[anchor], f"{row['category']} {row['verification_score']:.2f}"))
                tiles.append((row[positive], "tagged"))
    return picture_metadata(sheet(tiles, columns=12, side=80), "anchors beside their positives")
