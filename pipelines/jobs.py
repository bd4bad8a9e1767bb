"""Jobs: what is run together. When they run is in `schedules.py` and `sensors.py`."""

from typing import Any

import dagster as dg

from pipelines.rollback import rollback
from pipelines.upkeep import upkeep

CRAWLS = ("kream_posts", "onthelook_posts", "kream_catalog")
REPUBLISHED = ("pair_dataset",)
"""What depends on the verdicts of reviewers."""
OUT_OF_DATE = (
    "duplicate_clusters",
    "pair_matches",
    "candidate_pairs",
    "pair_dataset",
    "catalog_embeddings",
    "search_index",
    "search_report",
)
"""What a take-down leaves to be made anew."""
_CRAWL = dg.AssetSelection.groups("crawl")
GPU = {"fashion/gpu": "true"}
"""Runs that train: `dagster.yaml` lets one of them go at a time."""

everything = dg.define_asset_job(
    "everything", dg.AssetSelection.all(), description="The whole chain, from crawl to search.", tags=GPU
)
recrawl = dg.define_asset_job("recrawl", _CRAWL, description="What is new on all sites, up to the frontier.")
recrawl_of = {
    name: dg.define_asset_job(
        f"recrawl_{name}", dg.AssetSelection.assets(name), description=f"{name} alone: what is new, and what is due."
    )
    for name in CRAWLS
}
retrain = dg.define_asset_job(
    "retrain", dg.AssetSelection.all() - _CRAWL, description="Everything after the crawl, on what is there.", tags=GPU
)
republish = dg.define_asset_job(
    "republish",
    dg.AssetSelection.assets(*REPUBLISHED),
    description="A dataset version that obeys the newest verdicts of reviewers.",
)
after_takedown = dg.define_asset_job(
    "after_takedown",
    dg.AssetSelection.assets(*OUT_OF_DATE),
    description="What a take-down leaves out of date: clusters, pairs, dataset, index, drawn pictures. Trains nothing.",
)

_CHAINS = (everything, recrawl, *recrawl_of.values(), retrain, republish, after_takedown)
JOBS: list[Any] = [*_CHAINS, rollback, upkeep]
