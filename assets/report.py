"""Stage report: `report.json` with what every stage cost and, in the sandbox, how near the truth it came."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assets.once import once
from assets.pictures import bars_metadata, differences_table, measures_table
from assets.resources import DataFolder, SandboxSites
from assets.stage import Check, Outcome, Rows, stage
from curation.places import read_manifest
from curation.proof import TRUTH
from curation.tables import ShardedTable, write_json
from models.card import add_result, metrics_of

_SCORE_CHECKS = {"measured": "Every metric was computed and lies between 0 and 1."}


@stage("report", kinds={"parquet"}, checks={"not_empty": "The world has posts."})
def sandbox_truth(data: DataFolder, sites: SandboxSites) -> Outcome:
    """What the sandbox knows and a real crawl never can: boxes, products worn, wrong tags, reposts. For scores only."""
    out = data.path / TRUTH
    command = [sys.executable, "-m", "sandbox", "truth", *sites.world, "--out", str(out)]
    once(out, sites.world, lambda: subprocess.run(command, check=True))
    rows = {path.stem: pq.read_metadata(path).num_rows for path in sorted(out.glob("*.parquet"))}
    write_json(out / "manifest.json", rows)
    return Outcome(
        out, Rows(sum(rows.values()), sum(rows.values())), rows, {"not_empty": Check(rows["tags"] > 0, str(rows))}
    )


@stage("report", kinds={"json"}, checks=_SCORE_CHECKS, remembered="1")
def detector_score(
    data: DataFolder,
    sites: SandboxSites,
    sandbox_truth: Path,
    detector: Path,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
    post_crops: ShardedTable,
) -> Outcome:
    """How near the true boxes of the crawled photos the detector came, beside the mean box of each class."""
    from assets.scores import detector_scores

    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    posts = data.posts()
    return _scored(data, "detector", detector_scores(sites, sandbox_truth, detector, post_crops, posts), detector)


@stage("report", kinds={"json"}, checks=_SCORE_CHECKS, remembered="1")
def classifier_score(data: DataFolder, sites: SandboxSites, category_classifier: Path) -> Outcome:
    """How often the classifier is right on thumbnails of a world that it never saw."""
    from assets.scores import classifier_scores

    return _scored(data, "classifier", classifier_scores(sites, category_classifier), category_classifier)


@stage("report", kinds={"json"}, checks=_SCORE_CHECKS, remembered="1")
def pair_score(data: DataFolder, sandbox_truth: Path, candidate_pairs: ShardedTable) -> Outcome:
    """How many of the pairs are right, and how many of the right ones were found."""
    from assets.scores import pairs_scores

    return _scored(data, "pair", pairs_scores(sandbox_truth, candidate_pairs))


@stage("report", kinds={"json"}, checks=_SCORE_CHECKS, remembered="2")
def encoder_score(
    data: DataFolder,
    sandbox_truth: Path,
    encoder: Path,
    detector: Path,
    kream_catalog: ShardedTable,
    pair_dataset: Path,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
) -> Outcome:
    """How often the encoder finds what a test crop truly shows, beside baselines; and from photos, end to end."""
    from assets.scores import encoder_scores

    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    posts = data.posts()
    scores, measured = encoder_scores(sandbox_truth, encoder, detector, pair_dataset, kream_catalog, posts)
    write_json(data.path / "report" / "encoder_score" / "measured.json", measured)
    photos = measured["photos"]
    arms = {name: photos[name]["overall"] for name in ("true_boxes", "detected_boxes", "end_to_end") if photos}
    costs = {"end to end - true boxes": photos.get("gap", {})}
    facts = {
        "from_photos": measures_table(arms),
        "what_detection_costs": differences_table(costs),
        "differences": differences_table(measured["crops"]["comparisons"]),
    }
    _note(encoder, "photos of the test posts", metrics_of({**arms, **costs}))
    return _scored(data, "encoder", scores, encoder, **facts)


def _note(model: Path, split: str, metrics: Mapping[str, Any]) -> None:
    add_result(model, {"dataset": "drawn world with known truth", "split": split, "metrics": dict(metrics)})


def _scored(data: DataFolder, name: str, scores: dict[str, float], model: Path | None = None, **facts: Any) -> Outcome:
    """Outcome of a score: shares of one, also on the card of the model that they are of."""
    out = data.path / "report" / f"{name}_score"
    write_json(out / "manifest.json", scores)
    if model is not None:
        _note(model, "all", scores)
    check = Check(all(0 <= value <= 1 for value in scores.values()), f"{len(scores)} metrics")
    facts = {**scores, "shares": bars_metadata(scores, "against the truth"), **facts}
    return Outcome(out, Rows(len(scores), len(scores)), facts, {"measured": check})


@stage("report", kinds={"json"}, checks={}, after=["search_report", "encoder_report"])
def run_report(
    data: DataFolder, detector_score: Path, classifier_score: Path, pair_score: Path, encoder_score: Path
) -> Outcome:
    """`report.json`: what every stage cost, and how near the truth the run came."""
    stages = [json.loads(path.read_text()) for path in (data.path / "stages").glob("*.json")]
    stages.sort(key=lambda row: row["finished"])
    scores = [read_manifest(score) for score in (detector_score, classifier_score, pair_score, encoder_score)]
    metrics = {name: value for part in scores for name, value in part.items()}
    peaks = [row["peak_memory_gib"] for row in stages if "peak_memory_gib" in row]  # else of an older release
    metrics |= {"peak_memory_gib": max(peaks)} if peaks else {}
    write_json(data.path / "report.json", {"stages": stages, "metrics": metrics})
    total = sum(row["seconds"] for row in stages)
    facts = {
        **metrics,
        "cost": bars_metadata({row["name"]: row["seconds"] / total for row in stages}, f"share of {total:.0f} s"),
    }
    return Outcome(data.path / "report", Rows(len(stages), len(stages)), facts)
