"""Versions of an index side by side, and the pointer to the one in use.

`ROOT/versions/<version>/` holds complete indexes; `ROOT/current` and `ROOT/previous` are links that are replaced in one
rename, so a reader sees the old index or the new one and never a part.
"""

import shutil
import uuid
from pathlib import Path
from typing import Final

from search.errors import IndexMissingError

VERSIONS: Final = "versions"
_CURRENT: Final = "current"
_PREVIOUS: Final = "previous"


def current_version(root: Path) -> str | None:
    """Name of the version in use, or None when nothing was ever built."""
    return _target(root / _CURRENT)


def previous_version(root: Path) -> str | None:
    """Name of the version that `rollback` returns to."""
    return _target(root / _PREVIOUS)


def version_folder(root: Path, version: str) -> Path:
    """Where a version lives."""
    return root / VERSIONS / version


def activate(root: Path, version: str) -> None:
    """Point to a complete version, remember the one before it, and remove all older ones.

    A process that has an older version open keeps it: its files stay readable until they are closed.
    """
    before = current_version(root)
    if before == version:
        return
    if before is not None:
        _point(root / _PREVIOUS, before)
    _point(root / _CURRENT, version)
    for folder in (root / VERSIONS).iterdir():
        if folder.name not in (version, before) and not folder.name.startswith("."):
            shutil.rmtree(folder)


def rollback(root: Path) -> str:
    """Return to the version before the current one; calling it again returns to the newer. Gives the version's name.

    Raises:
        IndexMissingError: there is no earlier version.
    """
    version = previous_version(root)
    if version is None or not version_folder(root, version).is_dir():
        raise IndexMissingError(f"{root}: no earlier version to return to")
    activate(root, version)
    return version


def forget(root: Path, version: str) -> None:
    """Delete a version that is not in use; `rollback` cannot return to it any more."""
    shutil.rmtree(version_folder(root, version), ignore_errors=True)
    if previous_version(root) == version:
        (root / _PREVIOUS).unlink()


def _target(link: Path) -> str | None:
    try:
        return link.readlink().name
    except FileNotFoundError:
        return None


def _point(link: Path, version: str) -> None:
    temporary = link.with_name(f".{link.name}.{uuid.uuid4().hex}.tmp")
    temporary.symlink_to(Path(VERSIONS) / version, target_is_directory=True)
    temporary.replace(link)
