"""The option that the command lines of several rooms share: the data folder.

The graph takes it from the setting `FASHION_DATA`, so whoever has exported that means the same folder by the commands
beside the graph. All other settings are the graph's own, and `pipelines.environments` alone reads them.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

VARIABLE: Final = "FASHION_DATA"


def default_data() -> str:
    """The data folder of whoever names none: that of the environment, else `data`."""
    return os.environ.get(VARIABLE) or "data"


def existing(text: str) -> Path:
    """Argparse type: a data folder that is there."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(missing(text))
    return Path(text)


def missing(data: str | Path) -> str:
    """What to tell whoever names a data folder that is not there."""
    return f"no data folder at {data}; give --data or set {VARIABLE}"


def add_data(parser: argparse.ArgumentParser, kind: Callable[[str], Path] = existing, holds: str = "") -> None:
    """Add `--data` to a command.

    Args:
        parser: of the command.
        kind: argparse type of the path: `existing`, or `Path` for a command that may do without the folder or makes it.
        holds: what of the folder the command needs, for its help.
    """
    text = f"data folder{holds and ', with '}{holds} (default: ${VARIABLE}, else data)"
    parser.add_argument("--data", type=kind, default=default_data(), metavar="FOLDER", help=text)
