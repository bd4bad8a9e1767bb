"""Command line of the sandbox: serve a world as two web sites, write its truth, write detection data."""

import argparse
import asyncio
import errno
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from sandbox.photos import PhotoFolderError, PhotoWorld
from sandbox.sites.faults import KINDS
from sandbox.sites.server import ServeOptions, Server
from sandbox.sites.source import Source


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (PhotoFolderError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1


def _serve(options: argparse.Namespace) -> int:
    serve = ServeOptions(
        options.port,
        options.delay,
        dict(options.fault),
        options.retry_after,
        options.idle_exit,
        until=options.until,
    )
    try:
        server = Server(_source(options), serve)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(f"port {options.port} or {options.port + 1} is in use; give another --port") from error
    asyncio.run(server.serve(lambda: print(json.dumps(server.urls), flush=True)))
    return 0


def _truth(options: argparse.Namespace) -> int:
    options.out.mkdir(parents=True, exist_ok=True)
    for name, table in _source(options).truth().items():
        pq.write_table(table, options.out / f"{name}.parquet")
        print(f"{name}: {table.num_rows} rows")
    return 0


def _annotations(options: argparse.Namespace) -> int:
    from sandbox.annotations import write_annotations  # draws people: not needed to serve photos

    write_annotations(options.out, options.seed, options.images, options.workers)
    return 0


def _source(options: argparse.Namespace) -> Source:
    if options.photos is not None:
        return PhotoWorld(options.photos)
    from sandbox.seasons import drawn_world  # draws: not needed to serve photos

    return drawn_world(options.seed, options.posts, options.products)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the world as KREAM (port) and OnTheLook (port + 1)")
    _add_world(serve)
    serve.add_argument("--port", type=_whole(0, 65534), default=8600, help="0 takes two free ports")
    serve.add_argument("--delay", type=_seconds, default=0.0, help="seconds before every response")
    serve.add_argument(
        "--fault", type=_fault, action="append", default=[], metavar="KIND=RATE", help=f"kinds: {', '.join(KINDS)}"
    )
    serve.add_argument("--retry-after", type=_whole(0, 3600), default=1, help="seconds named by a 429 or 503")
    serve.add_argument("--idle-exit", type=_whole(1, 86_400), help="end after so many seconds without a request")
    serve.add_argument("--until", type=_time, metavar="TIME", help="show no post after it, such as 2024-02-01T09:00")
    serve.set_defaults(run=_serve)
    truth = commands.add_parser("truth", help="write the truth tables as Parquet")
    _add_world(truth)
    truth.add_argument("--out", type=Path, required=True)
    truth.set_defaults(run=_truth)
    annotations = commands.add_parser(
        "annotations", help="write detection data in ModaNet's and Fashionpedia's formats"
    )
    annotations.add_argument("--seed", type=_whole(0, 2**63 - 1), default=1)
    annotations.add_argument("--images", type=_whole(1, 1_000_000), default=400)
    annotations.add_argument("--workers", type=_whole(1, 256), default=1, help="processes that draw")
    annotations.add_argument("--out", type=Path, required=True)
    annotations.set_defaults(run=_annotations)
    return parser


def _add_world(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_whole(0, 2**63 - 1), default=1)
    parser.add_argument("--posts", type=_whole(1, 10_000_000), default=400)
    parser.add_argument("--products", type=_whole(1, 10_000_000), default=None, help="default: by number of posts")
    parser.add_argument("--photos", type=Path, default=None, help="folder of real shop photos to serve instead")


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Argparse type: a whole number within bounds."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 60")
    return value


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date or time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _fault(text: str) -> tuple[str, float]:
    kind, _, rate = text.partition("=")
    if kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{kind!r} is not one of {', '.join(KINDS)}")
    try:
        share = float(rate)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"rate {rate!r} of {kind} is not a number from 0 to 1")
    return kind, share


if __name__ == "__main__":
    sys.exit(main())
