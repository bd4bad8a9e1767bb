"""Stage report: `report.json` with what every stage cost and, in the sandbox, how near the truth it came."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from assets.crawl import all_posts
from assets.once import once
from assets.pictures import bars_metadata
from assets.resources import DataFolder, SandboxSites
from assets.stage import Check, Outcome, Rows, stage
from curation.tables import ShardedTable, write_json

_REPORT_CHECKS = {"measured": "Every metric of this profile could be computed."}


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


@stage("report", kinds={"json"}, checks=_REPORT_CHECKS, after=["search_report", "encoder_report"])
def run_report(
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
    """`report.json`: what every stage cost, and how near the truth labels, pairs and searches came."""
    from assets.scores import Made, score_run

    posts = all_posts(data, onthelook_posts, kream_posts)
    made = Made(detector, category_classifier, encoder, posts, kream_catalog, post_crops, candidate_pairs, pair_dataset)
    metrics = score_run(sites, sandbox_truth, made)
    stages = [json.loads(path.read_text()) for path in (data.path / "stages").glob("*.json")]
    stages.sort(key=lambda row: row["finished"])
    metrics["peak_rss_gib"] = max(row["peak_rss_gib"] for row in stages)
    report = {"stages": stages, "metrics": metrics}
    write_json(data.path / "report.json", report)
    shares = {name: value for name, value in metrics.items() if name != "peak_rss_gib"}
    facts = {**metrics, "shares": bars_metadata(shares, "against the truth")}
    check = Check(len(shares) > 0, f"{len(shares)} metrics over {len(stages)} stages")
    return Outcome(data.path / "report", Rows(len(stages), len(stages)), facts, {"measured": check})
