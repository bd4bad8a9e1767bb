"""`python -m pipelines demo`: the whole graph on the sandbox, then what it reached and where to look."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from assets.world import claimed_world
from pipelines.environments import Settings, SettingsError, read_settings


def main(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit status: 0, 2 for a wrong setting, else that of the run."""
    parser = argparse.ArgumentParser(prog="python -m pipelines", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("demo", help="materialize everything in the sandbox").set_defaults(run=_demo)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(read_settings())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return status


def _demo(settings: Settings) -> int:
    _make_room(settings)
    start = time.monotonic()
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*", "-m", "pipelines.definitions"]
    status = subprocess.run(command, check=False, env={**os.environ, "FASHION_PROFILE": "sandbox"}).returncode
    if status == 0:
        print(_summary(settings.data, time.monotonic() - start))
    return status


def _make_room(settings: Settings) -> None:
    """Remove what a demo of another world left: its tables must not mix with this one's, and can be made again."""
    world = claimed_world(settings.data)
    if world is not None and world.startswith("sandbox") and world != settings.world:
        print(f"removing {settings.data}, made for {world!r}, to make {settings.world!r}")
        shutil.rmtree(settings.data)


def _summary(data: Path, seconds: float) -> str:
    report = json.loads((data / "report.json").read_text())
    stages = [
        f"  {row['name']:<22}{row['seconds']:>8.1f} s {row['rows_kept']:>8} kept of {row['rows_in']}"
        for row in report["stages"]
    ]
    metrics = [f"  {name:<26}{value:>8.3f}" for name, value in report["metrics"].items()]
    return "\n".join(
        [
            "",
            "Stages",
            *stages,
            "Against the truth of the sandbox",
            *metrics,
            f"Done in {seconds / 60:.1f} minutes. Everything is in {data}; figures in {data / 'report.json'}.",
            "  make serve   search page on http://127.0.0.1:8700",
            "  make dev     Dagster UI on http://127.0.0.1:3000",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
