"""`python -m curation`: what people do to near-duplicates and to the dataset between two runs of the graph."""

import argparse
import json
import sys
from collections.abc import Sequence

from curation.commands import dataset, dedup
from curation.errors import CurationError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and print its answers, a line of JSON each.

    Returns:
        Exit status: 0, 1 when there is no answer, or 2 with a message when the input will not do.
    """
    parser = argparse.ArgumentParser(prog="python -m curation", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    dataset.add_commands(commands)
    dedup.add_commands(commands)
    options = parser.parse_args(arguments)
    try:
        status = 1
        for answer in options.run(options):
            print(json.dumps(answer, ensure_ascii=False, default=str))
            status = 0
    except (CurationError, OSError) as error:
        print(f"curation: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
