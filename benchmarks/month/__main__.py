"""`python -m benchmarks.month`: nights, a table as they pass, and whether all agrees with the truth.

What is on disk stays in the data folder (`--data`), with the report as `month.md`.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.month.events import CRAWLS, PLAN
from benchmarks.month.month import Month, Night, webhook
from benchmarks.month.report import HEAD, figures, line, markdown
from benchmarks.month.world import GrowingWorld
from sandbox.posts import SITES
from sandbox.sites.server import ServeOptions, serving
from sandbox.world import World

_BLOCK: Final = 50  # post ids per shard
_ONE_SITE: Final = ("nightly_kream_posts", "weekly_retraining", "weekly_upkeep")


def main() -> int:
    """Live through the month; exit status 1 when something does not agree with the truth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.month", description=__doc__)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--first-night", type=int, default=200, help="posts that are there then: models need some")
    parser.add_argument("--posts-per-night", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--retrain-pairs", type=int, default=100, help="new ones for which the weekly training runs")
    parser.add_argument("--effort", type=float, default=0.2, help="share of the recipes' training steps")
    parser.add_argument(
        "--crawls-only", action="store_true", help="one site every night, the others once; nothing is trained"
    )
    parser.add_argument("--products", type=int, default=300, help="of the shop, where nothing is trained")
    parser.add_argument("--port", type=int, default=8710, help="of the sandbox's KREAM; OnTheLook is on the next one")
    parser.add_argument("--data", type=Path, help="empty folder that takes everything (default: a temporary one)")
    options = parser.parse_args()
    data = (options.data or Path(tempfile.mkdtemp(prefix="fashion-month-"))).resolve() / "data"
    posts = options.first_night + (options.nights - 1) * options.posts_per_night
    sites = ("kream",) if options.crawls_only else SITES
    # Scores know the truth by seed and posts alone, so where there are any the shop is as large as they have it.
    drawn = World(options.seed, posts, options.products if options.crawls_only else None)
    world = GrowingWorld(drawn, options.first_night, options.posts_per_night, sites)
    passed: list[Night] = []
    heard: list[dict[str, object]] = []
    with serving(world.world, ServeOptions(options.port)) as server, webhook(heard) as address:
        settings = {
            "seed": options.seed,
            "posts": posts,
            "sandbox_port": options.port,
            "block_size": _BLOCK,
            "effort": options.effort,
            "retrain_pairs": options.retrain_pairs,
            "gates": "off",
            "webhook": address,
        }
        month = Month(world, server, data, settings, _ONE_SITE if options.crawls_only else ())
        print(HEAD, flush=True)
        for night in month.live(options.nights, CRAWLS if options.crawls_only else PLAN):
            passed.append(night)
            print(line(night), flush=True)
    (data.parent / "month.md").write_text(markdown(passed, month.findings))
    for problem in (*month.findings.lost, *month.findings.doubled, *month.findings.wrong):
        print(problem)
    print(json.dumps({**figures(passed, month.findings), "failures_heard": len(heard)}))
    return int(not month.findings.none)


if __name__ == "__main__":
    sys.exit(main())
