"""Stage report: `report.json` with what every stage cost and, in the sandbox, how near the truth it came."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from assets.artifacts import manifest_of
from assets.crawl import all_posts
from assets.once import once
from assets.pictures import bars_metadata
from assets.resources import DataFolder, SandboxSites
from assets.stage import Check, Outcome, Rows, stage
from curation.tables import ShardedTable, write_json

_SCORE_CHECKS = {"measured": "Every metric of this profile could be computed and is a share."}
_REPORT_CHECKS = {"written": "There are stages to report on."}


@stage("report", kinds={"parquet"}, checks={"not_empty": "The world has posts."})
def sandbox_truth(data: DataFolder, sites: SandboxSites) -> Outcome:
    """What the sandbox knows and a real crawl never can: boxes, products worn, wrong tags, reposts. For scores only."""
    out = data.path / "report" / "truth"
    command = [sys.executable, "-m", "sandbox", "truth", *sites.world, "--out", str(out)]
    once(out, sites.world, lambda: subprocess.run(command, check=True))
    rows = {path.stem: pq.read_metadata(path).num_rows for path in sorted(out.glob("*.parquet"))}
    write_json(out / "manifest.json", rows)
    return Outcome(
        out, Rows(sum(rows.values()), sum(rows.values())), rows, {"not_empty": Check(rows["tags"] > 0, str(rows))}
    )


@stage("report", kinds={"json"}, checks=_SCORE_CHECKS)
def sandbox_scores(
    data: DataFolder,
    sites: SandboxSites,
    sandbox_truth: Path,
    detector: Path,
    category_classifier: Path,
    encoder: Path,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
    kream_catalog: ShardedTable,
    post_crops: ShardedTable,
    candidate_pairs: ShardedTable,
    pair_dataset: Path,
) -> Outcome:
    """How near the truth detector, classifier, pairs and encoder came, beside baselines that learn nothing."""
    from assets.scores import Made, score_run

    posts = all_posts(data, onthelook_posts, kream_posts)
    made = Made(detector, category_classifier, encoder, posts, kream_catalog, post_crops, candidate_pairs, pair_dataset)
    scores = score_run(sites, sandbox_truth, made)
    out = data.path / "report" / "scores"
    write_json(out / "manifest.json", scores)
    facts = {**scores, "shares": bars_metadata(scores, "against the truth")}
    check = Check(all(0 <= value <= 1 for value in scores.values()), f"{len(scores)} metrics")
    return Outcome(out, Rows(len(scores), len(scores)), facts, {"measured": check})


@stage("report", kinds={"json"}, checks=_REPORT_CHECKS, after=["search_report", "encoder_report"])
def run_report(data: DataFolder, sandbox_scores: Path) -> Outcome:
    """`report.json`: what every stage cost, and how near the truth the run came."""
    stages = [json.loads(path.read_text()) for path in (data.path / "stages").glob("*.json")]
    stages.sort(key=lambda row: row["finished"])
    metrics = {**manifest_of(sandbox_scores), "peak_rss_gib": max(row["peak_rss_gib"] for row in stages)}
    write_json(data.path / "report.json", {"stages": stages, "metrics": metrics})
    total = sum(row["seconds"] for row in stages)
    facts = {
        **metrics,
        "cost": bars_metadata({row["name"]: row["seconds"] / total for row in stages}, f"share of {total:.0f} s"),
    }
    check = Check(len(stages) > 0, f"{len(stages)} stages")
    return Outcome(data.path / "report", Rows(len(stages), len(stages)), facts, {"written": check})
