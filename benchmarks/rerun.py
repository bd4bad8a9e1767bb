"""What it costs to run the finished graph again: on data that `make demo` left, with nothing new to crawl.

Every asset is materialized, as the UI's button does. The settings (`FASHION_SEED`, …) must be those of the demo.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

_COMMAND: Final = ("-m", "dagster", "asset", "materialize", "--select", "*", "-m", "pipelines.definitions")


def main() -> int:
    """Run the graph, print what each stage took, and the figures as JSON; the exit status is the graph's.

    Seconds of the first run are the sum of its stages': more than the clock's, where stages ran side by side.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rerun", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that a finished demo left")
    parser.add_argument(
        "--first", type=Path, help="copy of the report.json that the demo left; else the latest run counts"
    )
    options = parser.parse_args()
    data: Path = options.data.resolve()
    before, shards = _stages(options.first or data / "report.json"), _shards(data)
    start, worked = time.monotonic(), _worked()
    environment = {**os.environ, "FASHION_DATA": str(data)}
    status = subprocess.run([sys.executable, *_COMMAND], check=False, env=environment).returncode
    if status:
        return status
    seconds, worked = time.monotonic() - start, _worked() - worked
    after, now = _stages(data / "report.json"), _shards(data)
    print(f"{'stage':<24}{'before':>12}{'again':>12}   processor seconds")
    for name in sorted(after, key=lambda name: -after[name]["processor_seconds"]):
        told = [run.get(name, {}).get("processor_seconds", 0.0) for run in (before, after)]
        print(f"{name:<24}{told[0]:>12.1f}{told[1]:>12.1f}")
    first = sum(stage["seconds"] for stage in before.values())
    first_worked = sum(stage["processor_seconds"] for stage in before.values())
    figures = {
        "first_seconds": round(first, 1),
        "again_seconds": round(seconds, 1),
        "share": round(seconds / first, 4),
        "first_processor_seconds": round(first_worked, 1),
        "again_processor_seconds": round(worked, 1),
        "processor_share": round(worked / first_worked, 4),
        "shards": len(now),
        "shards_made": sum(shards.get(path) != stamp for path, stamp in now.items()),
    }
    print(json.dumps(figures))
    return 0


def _stages(report: Path) -> dict[str, dict[str, float]]:
    """What each stage took, by its name."""
    return {record["name"]: record for record in json.loads(report.read_text())["stages"]}


def _shards(data: Path) -> dict[Path, int]:
    """Every Parquet file and the time at which it was written, ns."""
    return {path: path.stat().st_mtime_ns for path in data.rglob("*.parquet")}


def _worked() -> float:
    """Processor seconds of children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
