"""Versions of an index side by side, and the pointer to the one in use.

`ROOT/versions/<version>/` says which segments below `ROOT/segments/` make a version; versions share them.
`ROOT/current` and `ROOT/previous` are links that are replaced in one rename, so a reader sees the old version or the
new one and never a part. Whatever a writer that was killed leaves behind is removed by the next.
"""

import fcntl
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from search.errors import IndexMissingError
from search.index.manifest import IndexManifest, read_manifest

_VERSIONS: Final = "versions"
_SEGMENTS: Final = "segments"
_CURRENT: Final = "current"
_PREVIOUS: Final = "previous"
_LOCK: Final = ".lock"


def current_version(root: Path) -> str | None:
    """Name of the version in use, or None when nothing was ever built."""
    return _target(root / _CURRENT)


def previous_version(root: Path) -> str | None:
    """Name of the version that `rollback` returns to."""
    return _target(root / _PREVIOUS)


def version_folder(root: Path, version: str) -> Path:
    """Where a version lives."""
    return root / _VERSIONS / version


def segment_folder(root: Path, name: str) -> Path:
    """Where a segment lives."""
    return root / _SEGMENTS / name


def versions(root: Path) -> list[IndexManifest]:
    """Every complete version of this format, oldest first."""
    found = []
    for folder in (root / _VERSIONS).iterdir() if (root / _VERSIONS).is_dir() else ():
        with suppress(IndexMissingError):  # of an older format, or half written
            found.append(read_manifest(folder))
    return sorted(found, key=lambda manifest: manifest.created_at)


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Hold the lock that every change of an index takes; another writer waits."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def activate(root: Path, version: str) -> None:
    """Point to a complete version, remember the one before it, and remove what is no longer reached. Take the lock.

    A process that has an older version open keeps it: its files stay readable until they are closed.
    """
    before = current_version(root)
    if before != version:
        if before is not None:
            _point(root / _PREVIOUS, before)
        _point(root / _CURRENT, version)
    sweep(root)


def rollback(root: Path) -> str:
    """Return to the version before the current one; calling it again returns to the newer. Gives the version's name.

    Raises:
        IndexMissingError: there is no earlier version, or it is of another format.
    """
    with writing(root):
        version = previous_version(root)
        if version is None or not version_folder(root, version).is_dir():
            raise IndexMissingError(f"{root}: no earlier version to return to")
        read_manifest(version_folder(root, version))
        activate(root, version)
        return version


def forget(root: Path, version: str) -> None:
    """Delete a version that is not in use; `rollback` cannot return to it any more. Take the lock."""
    shutil.rmtree(version_folder(root, version), ignore_errors=True)
    if previous_version(root) == version:
        (root / _PREVIOUS).unlink()
    sweep(root)


def sweep(root: Path) -> None:
    """Remove versions, segments and leftovers that neither the current version nor the previous one needs."""
    for link in root.glob(".*.tmp"):
        link.unlink()
    kept = {name for name in (current_version(root), previous_version(root)) if name}
    _remove_others(root / _VERSIONS, kept)
    _remove_others(root / _SEGMENTS, {name for made in versions(root) for name in made.segments})


def _remove_others(folder: Path, kept: set[str]) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in kept:
            shutil.rmtree(path)


def _target(link: Path) -> str | None:
    try:
        return link.readlink().name
    except FileNotFoundError:
        return None


def _point(link: Path, version: str) -> None:
    temporary = link.with_name(f".{link.name}.{uuid.uuid4().hex}.tmp")
    temporary.symlink_to(Path(_VERSIONS) / version, target_is_directory=True)
    temporary.replace(link)
