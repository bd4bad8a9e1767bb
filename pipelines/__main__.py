"""`python -m pipelines demo`: the whole graph on the sandbox, then what it reached and where to look.

`python -m pipelines scale`: the chain at full size, up to the dataset, in steps that can be killed and go on.

`python -m pipelines takedown`: remove a post, product or picture from everything that was made, and prove it.

`python -m pipelines adopt`: use a detector, classifier or encoder that was trained elsewhere.

`python -m pipelines settings`: what is set; `doctor`: what is missing on this machine for it, and how to get it.

`python -m pipelines clean`: remove what runs made, unless it cannot be made again.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assets.world import WorldError
from crawlers.sites import known_sites
from models.promotion import KINDS
from pipelines.environments import Settings, SettingsError, read_settings
from pipelines.room import clean, make_room


def main(arguments: list[str] | None = None) -> int:
    """`run`, for a reader that may close the pipe before the end, as `head` does."""
    try:
        status = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        return 1
    return status


def run(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit status: 0, 2 for a wrong setting, 3 for a take-down of what was not found, else that
    of the run."""
    parser = argparse.ArgumentParser(prog="python -m pipelines", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("demo", help="materialize everything in the sandbox").set_defaults(run=_demo)
    _add_scale(commands.add_parser("scale", help="crawl and curate a large drawn world; run again to go on"))
    _add_takedown(commands.add_parser("takedown", help="remove something from everything that was made, and prove it"))
    _add_adopt(commands.add_parser("adopt", help="use a model that was trained elsewhere, whatever a gate would say"))
    _add_clean(commands.add_parser("clean", help="remove what runs made: the data folder and Dagster's state"))
    shown = commands.add_parser("settings", help="what is set, what is the default; secrets masked")
    shown.add_argument("--markdown", action="store_true", help="print docs/SETTINGS.md instead")
    shown.set_defaults(run=_settings)
    doctor = commands.add_parser("doctor", help="what is missing on this machine, and how to get it")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(run=None)
    options = parser.parse_args(arguments)
    if options.run is None:  # the doctor looks at wrong settings too
        return _doctor(as_json=options.json)
    own = {"FASHION_PROFILE": "sandbox"} if options.run is _demo else {}  # whatever else is crawled from here
    try:
        status: int = options.run(read_settings(os.environ | own), options)
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


def _above_zero(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Reads a number of a kind. What is no number is told by argparse in its own words."""

    def number(text: str) -> float:
        if not 0 < (value := kind(text)) < math.inf:
            raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
        return value

    return number


def _add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=_above_zero(int), default=290_000, help="wanted (default 290000)")
    hours = "after which no further step begins (default 8)"
    parser.add_argument("--hours", type=_above_zero(float), default=8.0, help=hours)
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
    parser.add_argument("--site", metavar="NAME", help="where it was crawled or imported")
    parser.add_argument("--post", action="append", metavar="ID", default=[])
    parser.add_argument("--product", action="append", metavar="ID", default=[])
    parser.add_argument("--image", action="append", metavar="URL", default=[], help="address or sha256 of a picture")
    parser.add_argument("--reason", default="", help="who asked, when, by which right")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--check", action="store_true", help="only prove again that what was ever taken down is gone")
    instead.add_argument(
        "--lift", action="store_true", help="take a take-down back: what is named may be crawled again"
    )
    parser.set_defaults(run=_takedown)


def _takedown(settings: Settings, options: argparse.Namespace) -> int:
    from crawlers.errors import CrawlError
    from curation.errors import CurationError
    from pipelines.takedown import found_something, lift, prove, take_down, verdict
    from search.errors import SearchError

    wanted: dict[Any, list[str]] = {"post": options.post, "product": options.product, "image": options.image}
    wanted = {kind: values for kind, values in wanted.items() if values and not options.check}
    if not options.check and not (wanted and options.site and options.reason.strip()):
        print("takedown: name --site, --reason and at least one --post, --product or --image", file=sys.stderr)
        return 2
    if not settings.data.is_dir():
        print(f"takedown: there is no data folder {settings.data}; set FASHION_DATA", file=sys.stderr)
        return 2
    sites = known_sites(settings.data / "crawl")
    if not options.check and options.site not in sites:
        print(f"takedown: --site must be one of {', '.join(sites)}, got {options.site!r}", file=sys.stderr)
        return 2
    try:
        if options.lift:
            free = [lift(settings.data, options.site, kind, values, options.reason) for kind, values in wanted.items()]
            print(json.dumps({"lifted": free}, indent=2, ensure_ascii=False))
            return 0
        done = [
            take_down(settings.data, options.site, kind, values, options.reason, settings.milvus)
            for kind, values in wanted.items()
        ]
    except (CrawlError, CurationError, SearchError) as error:
        print(f"takedown: {error}", file=sys.stderr)
        return 1
    for unknown in (value for report in done for value in report["never_crawled"]):
        told = "was not found, or was removed before; it is kept out from now on. Check site and id."
        print(f"takedown: {options.site}/{unknown} {told}", file=sys.stderr)
    proof = prove(settings.data)
    print(json.dumps({"takedowns": done, "proof": proof}, indent=2, ensure_ascii=False), flush=True)
    for line in verdict(done, proof):
        print(f"takedown: {line}", file=sys.stderr)
    if proof["still_there"]:
        return 1
    return 0 if not done or any(map(found_something, done)) else 3


def _add_adopt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="checkpoint directory, or hub name as owner/name")
    parser.add_argument("--kind", choices=KINDS, default="encoder", help="of which model (default: encoder)")
    parser.add_argument("--reason", required=True, help="why; it is kept in the ledger")
    parser.set_defaults(run=_adopt)


def _adopt(settings: Settings, options: argparse.Namespace) -> int:
    from curation.errors import CurationError
    from models.errors import ModelsError
    from pipelines.adopt import adopt_model

    try:
        answer = adopt_model(settings.data, options.kind, options.source, options.reason)
    except (CurationError, ModelsError) as error:
        print(f"adopt: {error}", file=sys.stderr)
        return 2
    print(json.dumps(answer, ensure_ascii=False))
    return 0


def _add_clean(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dagster-home", type=Path, help="folder of Dagster's state, to remove too")
    also = "also what cannot be made again: crawls of real sites, verdicts, take-downs"
    parser.add_argument("--force", action="store_true", help=also)
    parser.set_defaults(run=_clean)


def _clean(settings: Settings, options: argparse.Namespace) -> int:
    try:
        removed = clean(settings.data, options.dagster_home, force=options.force)
    except WorldError as error:
        print(f"clean: {error}", file=sys.stderr)
        return 2
    print(f"removed {', '.join(map(str, removed)) or 'nothing: there was nothing'}")
    return 0


def _demo(settings: Settings, options: argparse.Namespace) -> int:
    del options
    try:
        make_room(settings.data, settings.world, print)
    except WorldError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    start = time.monotonic()
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*", "-m", "pipelines.definitions"]
    status = subprocess.run(command, check=False, env={**os.environ, "FASHION_PROFILE": settings.profile}).returncode
    if status == 0:
        print(_summary(settings.data, time.monotonic() - start))
    return status


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
