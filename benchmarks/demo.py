"""Where the demo's time goes, and what a second run costs when nothing is new.

Both runs are made side by side, in a data folder of their own that is removed afterwards. Settings come from the
`FASHION_*` variables, as for `make demo`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the demo twice, print a table by stage, and the figures as JSON."""
    argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="fashion-demo-") as folder:
        first, first_seconds = _run(Path(folder))
        again, again_seconds = _run(Path(folder))
    print(f"{'stage':<24}{'first':>10}{'share':>8}{'again':>10}")
    for name, seconds in sorted(first.items(), key=lambda item: -item[1]):
        print(f"{name:<24}{seconds:>8.1f} s{seconds / first_seconds:>8.1%}{again[name]:>8.1f} s")
    figures = {
        "seconds": round(first_seconds, 1),
        "again_seconds": round(again_seconds, 1),
        "again_share": round(again_seconds / first_seconds, 4),
        "stages": first,
    }
    print(json.dumps(figures))


def _run(data: Path) -> tuple[dict[str, float], float]:
    """Seconds of each stage and of the whole run."""
    start = time.monotonic()
    environment = {**os.environ, "FASHION_DATA": str(data)}
    subprocess.run([sys.executable, "-m", "pipelines", "demo"], check=True, env=environment, stdout=sys.stderr)
    report: dict[str, Any] = json.loads((data / "report.json").read_text())
    return {row["name"]: row["seconds"] for row in report["stages"]}, time.monotonic() - start


if __name__ == "__main__":
    main()
