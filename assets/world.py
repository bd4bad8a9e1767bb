"""A data folder belongs to one world: tables of two must not mix."""

from pathlib import Path
from typing import Final

_FILE: Final = "WORLD"


class WorldError(Exception):
    """Raised by `claim` when the data folder holds what was crawled from another world."""


def claimed_world(data: Path) -> str | None:
    """The world that a data folder was made from, or None when nothing was crawled yet."""
    path = data / _FILE
    return path.read_text().strip() if path.is_file() else None


def claim(data: Path, world: str) -> None:
    """Reserve a data folder for a world. Raises `WorldError` when it is another's."""
    owner = claimed_world(data)
    if owner is None:
        data.mkdir(parents=True, exist_ok=True)
        (data / _FILE).write_text(world + "\n")
    elif owner != world:
        raise WorldError(f"{data} holds {owner!r}, not {world!r}: set FASHION_DATA to another folder, or remove it")
