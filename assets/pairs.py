"""Stage pairs: which crop shows which tagged product, how sure that is, and the versioned dataset of what is sure."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field, field_validator

from assets.artifacts import each, train
from assets.pictures import pairs_sheet_metadata
from assets.resources import DataFolder, Engine, Recipes, Terms
from assets.shift import NO_SHIFT, Mix, no_shift
from assets.stage import Check, Outcome, Rows, mapped, no_failed_shard, reasons_table, stage
from crawlers.sites import POST_SITES
from curation.card import CARD
from curation.dataset import decided, write_pair_dataset
from curation.dataset_plan import LEAK_COLUMNS, DatasetRules, leak_keys, photo_ties
from curation.engine import MapReport
from curation.pairing import PairingRules
from curation.places import read_manifest
from curation.selection import read_selection
from curation.sources import excluded_sources
from curation.splits import SplitShares, crossing_keys
from curation.tables import ShardedTable, write_json
from curation.versions import Versions

LONGEST_RUN_S = 3 * 24 * 3600.0
"""So long a version of the dataset stays: reviewers publish one each ten minutes, and a full training takes days."""

_AS_BEFORE = "by default as in the version in use, or in the first one "


class Splits(dg.Config):
    """How much of what is new is held out (what a version placed before stays there), and whose pairs to leave out.

    What is not given stays as it is in the version in use: a run that a sensor starts gives nothing.
    """

    validation: float | None = Field(
        None, ge=0, le=1, description=f"share of what is new to validate on; {_AS_BEFORE}{SplitShares().validation}"
    )
    test: float | None = Field(
        None, ge=0, le=1, description=f"share of what is new to test on; {_AS_BEFORE}{SplitShares().test}"
    )
    exclude_sources: list[str] | None = Field(
        None, description=f"sites whose pairs are left out, [] for none; {_AS_BEFORE}none"
    )
    keep_versions: int = Field(
        10,
        ge=0,
        description="newest versions that stay, besides pinned ones and those in use within three days; 0: all"
        " (the weekly job `upkeep` has a number of its own)",
    )

    @field_validator("exclude_sources")
    @classmethod
    def _known(cls, sites: list[str] | None) -> list[str] | None:
        if unknown := set(sites or ()) - POST_SITES.keys():
            raise ValueError(f"must be among {', '.join(sorted(POST_SITES))}, got {', '.join(sorted(unknown))}")
        return sites


class Rules(dg.Config):
    """When a class is ambiguous in a photo and when a tag is not believed; see `curation.pairing.PairingRules`."""

    dominance: float = Field(
        PairingRules.dominance,
        ge=0,
        le=1,
        description="a box smaller than this share of the largest one of its class is somebody in the background",
    )
    least_agreement: float = Field(
        PairingRules.least_agreement,
        ge=0,
        le=1,
        description="how well the colours of crop and thumbnail must agree; 0 believes every tag",
    )
    least_lead: float = Field(
        PairingRules.least_lead,
        ge=0,
        le=1,
        description="by how much a box and a tag must agree better than either does with any other of the class;"
        " 1: several of a class are always ambiguous",
    )


class Verifier(dg.Config):
    """When the encoders that verify pairs are trained, and anew."""

    least_pairs: int = Field(
        500, ge=1, description="with fewer matches there is nothing to learn from; pairs go without"
    )
    most_pairs: int = Field(20_000, ge=1, description="maximum pairs per half used for training")
    growth: float = Field(
        0.25,
        ge=0,
        description="retrain once matches have grown by this share since the last training (0.25 = 25 %)",
    )


class Verification(Mix):
    """Which pairs are kept."""

    least_verification: float | None = Field(
        None, ge=0, le=1, description="least probability that it is right; by default the recipe's"
    )


@stage(
    "pairs",
    kinds={"parquet"},
    checks={"no_failed_shard": "Every shard was matched.", "not_empty": "At least one tag was matched."},
    automatic=True,
)
def pair_matches(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    engine: Engine,
    config: Rules,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
    post_crops: ShardedTable,
    thumbnail_categories: ShardedTable,
    duplicate_clusters: ShardedTable,
) -> Outcome:
    """Every tagged product with the crops that may show it, or the reason why none does."""
    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    of_posts = ShardedTable(duplicate_clusters.root / "posts")  # the same shards as the posts'
    report = engine.map(
        context,
        "curation.matching:MatchTags",
        [data.posts(), post_crops, thumbnail_categories, of_posts],
        data.table("pairs/pair_matches"),
        **config.model_dump(),
    )
    return mapped(report, report.table.rows, None, **_shard_checks(report, "matched"))


@stage(
    "pairs",
    kinds={"pytorch", "transformers"},
    checks={"tells_apart": "Each of the two encoders finds products of its own half, above the floor."},
    first=True,
    gpu=True,
)
def pair_verifier(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    recipes: Recipes,
    children: dg.PipesSubprocessClient,
    config: Verifier,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
    post_crops: ShardedTable,
    pair_matches: ShardedTable,
) -> Outcome:
    """Two encoders, each trained on the matches of one half of the posts, to judge those of the other half."""
    from models.encoder.verify import rivals_of

    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    out = data.path / "models" / "pair_verifier"
    matched = pair_matches.counts.get("kept", 0)
    learned = read_manifest(out) if (out / "manifest.json").is_file() else {"pairs": 0, "halves": [], "recipe": None}
    recipe = recipes.config("verifier")
    grown = matched > (1 + config.growth) * learned["pairs"]
    whole = recipe == learned["recipe"] and rivals_of(out).shards
    if matched >= config.least_pairs and (grown or not whole):
        tables = [data.posts(), post_crops, pair_matches]
        halves = _learn_halves(context, data, recipes, children, tables, config.most_pairs)
        learned = {"pairs": matched, "recipe": recipe, "halves": halves}
    write_json(out / "manifest.json", learned)
    recalls = {str(half): made["r@1"] for half, made in enumerate(learned["halves"])}
    passed = all(value >= recipes.floor("verifier") for value in recalls.values())
    check = Check(passed, f"R@1 on validation {recalls}" if recalls else f"{matched} matches are too few to learn from")
    facts = {"r@1_on_validation": recalls, "learned_from": learned["pairs"]}
    return Outcome(out, Rows(matched, learned["pairs"]), facts, {"tells_apart": check})


@stage(
    "pairs",
    kinds={"parquet", "pytorch"},
    checks={"no_failed_shard": "Every shard was verified.", "not_empty": "At least one pair was kept.", **NO_SHIFT},
    automatic=True,
)
def candidate_pairs(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    engine: Engine,
    recipes: Recipes,
    config: Verification,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
    post_crops: ShardedTable,
    pair_matches: ShardedTable,
    pair_verifier: Path,
) -> Outcome:
    """The matches with the probability that each is right, and the pictures of those that are believed."""
    from models.encoder.verify import rivals_of

    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    least = recipes.least_verification if config.least_verification is None else config.least_verification
    halves = [made["version"] for made in read_manifest(pair_verifier)["halves"]]
    rivals = rivals_of(pair_verifier)  # by what it holds now: a take-down removes products
    report = engine.map(
        context,
        "models.encoder.verify:VerifyPairs",
        [data.posts(), post_crops, pair_matches],
        data.table("pairs/candidate_pairs"),
        verifier=str(pair_verifier) if halves else "",
        verifier_version="/".join([*halves, rivals.fingerprint]),
        least_verification=least,
    )
    facts = {"pairs": pairs_sheet_metadata(report.table)}
    checks = {**_shard_checks(report, "kept"), **no_shift(data, report.table, config, count_dropped=True)}
    return mapped(report, report.table.rows, facts, **checks)


def _learn_halves(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    recipes: Recipes,
    children: dg.PipesSubprocessClient,
    tables: Sequence[ShardedTable],
    most_pairs: int,
) -> list[dict[str, Any]]:
    """Train the two encoders, on pairs that are written for them and removed; version and R@1 of each."""
    from models.encoder.verify import HALVES, learn_rivals, write_halves

    written = data.path / "models" / "pair_verifier" / "pairs"
    folders = write_halves(tables, written, most_pairs)

    def learn(half: int) -> dict[str, Any]:
        name, key = f"pair_verifier/{half}", tables[-1].fingerprint
        out = train(context, data, recipes, children, "encoder", folders[half], key, name=name, recipe="verifier")
        manifest = read_manifest(out)
        return {"version": manifest["version"], "r@1": manifest["metrics"]["r@1"]}

    made = each(learn, range(HALVES), recipes.side_by_side)
    learn_rivals(written.parent, folders)
    shutil.rmtree(written)
    return made


def _shard_checks(report: MapReport, done: str) -> dict[str, Check]:
    kept = report.counts.get("kept", 0)
    return {"no_failed_shard": no_failed_shard(report), "not_empty": Check(kept > 0, f"{kept} pairs {done}")}


@stage(
    "pairs",
    kinds={"parquet", "huggingface"},
    checks={
        "no_leak": "No post, product or near-duplicate cluster is in two splits.",
        "every_split": "Train, validation and test all have pairs.",
    },
    pool="dataset",  # of two writers at once, the one that ends last is refused
    automatic=True,
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
    rules = _rules(data.path, link, terms, config, sites)
    manifest = write_pair_dataset(candidate_pairs, link, rules, lambda: photo_ties(image_hashes, duplicate_clusters))
    versions = Versions(link)
    out = versions.folder / manifest["version"]
    data.share(out)
    expired = versions.expire(config.keep_versions, older_than=LONGEST_RUN_S) if config.keep_versions else []
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
        "excluded_sources": ", ".join(manifest["excluded_sources"]) or "none",
        **({"left_out": reasons_table(manifest["left_out"])} if manifest["left_out"] else {}),
        "review": dg.MetadataValue.json(manifest["review"]),
        "card": _card(out),
    }
    kept = len(rows)
    return Outcome(out, Rows(candidate_pairs.rows, kept, candidate_pairs.rows - kept), facts, checks)


def _rules(data: Path, link: Path, terms: Terms, config: Splits, sites: set[str]) -> DatasetRules:
    """What the next version is made by: as configured, and where that is silent as before."""
    shares, by_request = decided(link)
    given = {name: share for name in ("validation", "test") if (share := getattr(config, name)) is not None}
    if config.exclude_sources is not None:
        by_request = frozenset(config.exclude_sources)
    left_out = excluded_sources(terms.sources, sites, terms.commercial_only) | by_request
    return DatasetRules(replace(shares, **given), read_selection(data, left_out), terms.sources, by_request)


def _card(version: Path) -> dg.MarkdownMetadataValue:
    """The dataset card without its head and its picture, a file beside it that the UI cannot reach."""
    text = (version / CARD).read_text().split("---\n", 2)[-1]
    return dg.MetadataValue.md("\n".join(line for line in text.splitlines() if not line.startswith("![")))
