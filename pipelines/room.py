"""Room for a new start: what runs made can be made again and goes; what cannot be made again stays."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from assets.world import WORLD, WorldError, claimed_world
from crawlers.exclusions import FILE_NAME
from curation.takedown import RECORD
from pipelines.decisions import FINISHED

_SAID: Final = ("review/verdicts/*.jsonl", RECORD, f"crawl/{FILE_NAME}")
"""In a data folder: verdicts of reviewers, and what was to be taken down."""
MADE: Final = (
    *("steps.jsonl", "school", "log", "lock"),  # of `pipelines.scale`, which would take up what is no longer there
    *("audits", "crawl", "dedup", "examples", "index", "label", "models", "pair_dataset", "pair_dataset_versions"),
    *("pairs", "references", "report", "report.json", "review", "search", "shift", "stages", "tables.json", "train"),
    *(RECORD, FINISHED, WORLD),  # the world last, as long as tables of it are there
)
"""What runs and commands make in a data folder. Anything else there is somebody's own, such as an annotated set."""
_DRAWN: Final = "sandbox"  # begins the name of every world that can be served again
_DAGSTER: Final = "dagster.yaml"  # in the home of Dagster's state, and in no other folder
_FORCED: Final = "nothing was removed; make clean FORCE=1 (or --force) removes it all the same"


def make_room(data: Path, world: str, say: Callable[[str], None]) -> None:
    """Remove what a demo of another world left: its tables must not mix with this one's, and can be made again.

    Args:
        data: the data folder.
        world: that it is wanted for.
        say: told what goes.

    Raises:
        WorldError: it holds what people said too, and that cannot.
    """
    owner = claimed_world(data)
    if owner is not None and owner.startswith(_DRAWN) and owner != world:
        if said := _said(data):
            raise WorldError(
                f"{data} was made for {owner!r} and holds what cannot be made again: {said};"
                f" set FASHION_DATA to another folder for {world!r}, or move this one"
            )
        say(f"removing {data}, made for {owner!r}, to make {world!r}")
        _remove(data)


def clean(data: Path, home: Path | None, *, force: bool = False) -> list[Path]:
    """Remove what was made in a data folder, and Dagster's state; returns which of the two folders were there.

    Args:
        data: the data folder.
        home: folder of Dagster's state, if any.
        force: remove also what cannot be made again.

    Raises:
        WorldError: one of the two holds what cannot be made again, or what no run made. Nothing was removed.
    """
    there = [folder for folder in (data, home) if folder is not None and folder.is_dir()]
    if not force:
        _refuse_what_is_not_made_again(data)
    if home in there and not (home / _DAGSTER).exists():
        raise WorldError(f"{home} holds no {_DAGSTER}: it is no home of Dagster's; set DAGSTER_HOME")
    if home in there:  # first: it may lie in the data, as the data may in it
        shutil.rmtree(home.resolve())
        home.unlink(missing_ok=True)
    if data.is_dir():
        _remove(data)
    return there


def _refuse_what_is_not_made_again(data: Path) -> None:
    if not data.is_dir() or not any(data.iterdir()):
        return
    owner = claimed_world(data) or "what no sandbox served"
    if not owner.startswith(_DRAWN):
        raise WorldError(f"{data} holds {owner}; {_FORCED}")
    if said := _said(data):
        raise WorldError(f"{data} holds what cannot be made again: {said}; {_FORCED}")


def _said(data: Path) -> str:
    return ", ".join(str(name) for pattern in _SAID for name in sorted(data.glob(pattern)))


def _remove(data: Path) -> None:
    """What was made in a data folder, or where it leads to as a link; and the folder, if it holds nothing else."""
    folder = data.resolve()
    for path in (folder / name for name in MADE):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
        data.unlink(missing_ok=True)
