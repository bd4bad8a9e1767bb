"""`python -m models {detector|classifier|encoder}`: one training as a process of its own.

Dagster starts it as a child, so that its memory goes when it ends. Progress goes to the log and, as JSON lines, to
`OUT/progress.jsonl`; the checkpoint replaces OUT when it is complete. Exit status 2 means a wrong argument or
configuration, 1 a training that failed.

`python -m models {versions|promote|rollback|push|lookbench}`: what people do with trained ones, see `models.commands`.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any, get_args

from curation.places import fetched, place
from models import commands
from models.errors import ConfigError, ModelsError
from models.presets import Profile, preset
from models.promotion import KINDS
from models.run import train


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in commands.NAMES:
        return commands.main(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m models",
        description="Train one model and write its checkpoint.",
        epilog=f"Also: python -m models {' | '.join(commands.NAMES)} (each with --help).",
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument(
        "--data",
        type=place,
        required=True,
        help="detection dataset, catalog table or pair dataset; also the URL of a pair dataset's version",
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoint directory to make or replace")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", type=Path, help="JSON file with the trainer's configuration")
    source.add_argument("--preset", choices=get_args(Profile), help="a configuration of models.presets")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    try:
        values = _read(options.config) if options.config else preset(options.kind, options.preset)
        train(options.kind, values, fetched(options.data), options.out)
    except (ConfigError, OSError) as error:
        print(f"models: {error}", file=sys.stderr)
        return 2
    except ModelsError as error:
        print(f"models: {error}", file=sys.stderr)
        return 1
    return 0


def _read(config: Path) -> Any:
    try:
        return json.loads(config.read_text())
    except ValueError as error:  # no JSON, or no text
        raise ConfigError(f"{config}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
