"""A data folder belongs to one world, and so does the place of its tables: those of two must not mix."""

from typing import Final

from curation.places import Place, publishing

WORLD: Final = "WORLD"
"""File that names it."""


class WorldError(Exception):
    """Raised by `claim` when a place holds what was crawled from another world."""


def claimed_world(at: Place) -> str | None:
    """The world that a place was filled from, or None when nothing was crawled yet."""
    path = at / WORLD
    return path.read_text().strip() if path.is_file() else None


def claim(at: Place, world: str, setting: str = "FASHION_DATA") -> None:
    """Reserve the place that a setting names for a world. Raises `WorldError` when it is another's."""
    owner = claimed_world(at)
    if owner is None:
        with publishing(at / WORLD) as file:
            file.write_text(world + "\n")
    elif owner != world:
        raise WorldError(f"{at} holds {owner!r}, not {world!r}: set {setting} to another folder, or remove it")
