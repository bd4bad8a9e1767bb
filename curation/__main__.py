"""Command line: `python -m curation versions …` on the tables of a data folder."""

import argparse
import json
import sys
from collections.abc import Sequence

from curation.commands import dataset
from curation.errors import CurationError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and print its answers, a line of JSON each.

    Returns:
        Exit status: 0, 1 when there is no answer, or 2 with a message when the input will not do.
    """
    parser = argparse.ArgumentParser(prog="python -m curation", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    dataset.add_commands(commands)
    options = parser.parse_args(arguments)
    try:
        status = 1
        for answer in options.run(options):
            print(json.dumps(answer, ensure_ascii=False, default=str))
            status = 0
    except (CurationError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
