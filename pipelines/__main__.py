"""`python -m pipelines demo`: the whole graph on the sandbox, then what it reached and where to look.

`python -m pipelines scale`: the chain at full size, up to the dataset, in steps that can be killed and go on.

`python -m pipelines takedown`: remove a post, product or picture from everything that was made, and prove it.

`python -m pipelines settings`: what is set; `doctor`: what is missing on this machine for it, and how to get it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from assets.world import WorldError, claimed_world
from crawlers.exclusions import FILE_NAME
from curation.takedown import RECORD
from pipelines.environments import Settings, SettingsError, read_settings

_SAID: Final = ("review/verdicts/*.jsonl", RECORD, f"crawl/{FILE_NAME}")
"""In a data folder: verdicts of reviewers, and what was to be taken down."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit status: 0, 2 for a wrong setting, else that of the run."""
    parser = argparse.ArgumentParser(prog="python -m pipelines", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("demo", help="materialize everything in the sandbox").set_defaults(run=_demo)
    _add_scale(commands.add_parser("scale", help="crawl and curate a large drawn world; run again to go on"))
    _add_takedown(commands.add_parser("takedown", help="remove something from everything that was made, and prove it"))
    shown = commands.add_parser("settings", help="what is set, what is the default; secrets masked")
    shown.add_argument("--markdown", action="store_true", help="print docs/SETTINGS.md instead")
    shown.set_defaults(run=_settings)
    doctor = commands.add_parser("doctor", help="what is missing on this machine, and how to get it")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(run=None)
    options = parser.parse_args(arguments)
    if options.run is None:  # the doctor looks at wrong settings too
        return _doctor(as_json=options.json)
    try:
        status: int = options.run(read_settings(), options)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return status


def _settings(settings: Settings, options: argparse.Namespace) -> int:
    from pipelines.settings_table import markdown, shown, text

    print(markdown() if options.markdown else text(shown(settings, os.environ)), end="" if options.markdown else "\n")
    return 0


def _doctor(*, as_json: bool) -> int:
    from pipelines.doctor import diagnose, text

    findings = diagnose(os.environ)
    print(json.dumps([asdict(found) for found in findings], indent=2) if as_json else text(findings))
    return int(any(found.level == "fail" for found in findings))


def _add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=290_000, help="wanted (default 290000)")
    parser.add_argument("--hours", type=float, default=8.0, help="after which no further step begins (default 8)")
    parser.add_argument("--again", action="store_true", help="repeat what is there, and tell what share that took")
    parser.set_defaults(run=_scale)


def _scale(settings: Settings, options: argparse.Namespace) -> int:
    from assets.sandbox_server import SandboxError
    from pipelines.scale import Scale, ScaleError, summary

    scale = Scale(settings, options.pairs, settings.data.with_name(f"{settings.data.name}-scale"))
    try:
        if options.again:
            print(json.dumps(scale.again()))
            return 0
        scale.run(options.hours, lambda line: print(line, flush=True))
    except (ScaleError, SandboxError) as error:
        print(f"scale: {error}", file=sys.stderr)
        return 1
    print(summary(scale))
    return 0


def _add_takedown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", help="where it was crawled, such as kream")
    parser.add_argument("--post", action="append", metavar="ID", default=[])
    parser.add_argument("--product", action="append", metavar="ID", default=[])
    parser.add_argument("--image", action="append", metavar="URL", default=[], help="address or sha256 of a picture")
    parser.add_argument("--reason", default="", help="who asked, when, by which right")
    parser.add_argument("--check", action="store_true", help="only prove again that what was ever taken down is gone")
    parser.set_defaults(run=_takedown)


def _takedown(settings: Settings, options: argparse.Namespace) -> int:
    from crawlers.errors import CrawlError
    from pipelines.takedown import prove, take_down
    from search.errors import SearchError

    wanted: dict[Any, list[str]] = {"post": options.post, "product": options.product, "image": options.image}
    wanted = {kind: values for kind, values in wanted.items() if values and not options.check}
    if not options.check and not (wanted and options.site and options.reason.strip()):
        print("takedown: name --site, --reason and at least one --post, --product or --image", file=sys.stderr)
        return 2
    try:
        done = [
            take_down(settings.data, options.site, kind, values, options.reason, settings.milvus)
            for kind, values in wanted.items()
        ]
    except (CrawlError, SearchError) as error:
        print(f"takedown: {error}", file=sys.stderr)
        return 1
    proof = prove(settings.data)
    print(json.dumps({"takedowns": done, "proof": proof}, indent=2, ensure_ascii=False))
    return int(bool(proof["still_there"]))


def _demo(settings: Settings, options: argparse.Namespace) -> int:
    del options
    try:
        _make_room(settings)
    except WorldError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    start = time.monotonic()
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*", "-m", "pipelines.definitions"]
    status = subprocess.run(command, check=False, env={**os.environ, "FASHION_PROFILE": "sandbox"}).returncode
    if status == 0:
        print(_summary(settings.data, time.monotonic() - start))
    return status


def _make_room(settings: Settings) -> None:
    """Remove what a demo of another world left: its tables must not mix with this one's, and can be made again.

    Raises:
        WorldError: it holds what people said too, and that cannot.
    """
    world = claimed_world(settings.data)
    if world is not None and world.startswith("sandbox") and world != settings.world:
        if said := [name for pattern in _SAID for name in sorted(settings.data.glob(pattern))]:
            raise WorldError(
                f"{settings.data} was made for {world!r} and holds what cannot be made again:"
                f" {', '.join(map(str, said))};"
                f" set FASHION_DATA to another folder for {settings.world!r}, or move this one"
            )
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
