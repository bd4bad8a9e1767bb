"""Versions of a dataset or a model side by side, and the link to the one in use.

`<link>_versions/0001`, `…/0002`, … are complete folders that are only ever added, and `<link>` is a symbolic link to
one of them, replaced in one rename: a reader sees the old version or the new one, never a part. A file that two
versions share is one file on disk (a hard link).
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

from curation.errors import CurationError
from curation.places import remove_abandoned
from curation.tables import write_json

_SUFFIX: Final = "_versions"
_PINNED: Final = "pinned.json"


class VersionError(CurationError):
    """Raised for a version that is not there, when two writers meet, and when none would be kept."""


class Versions:
    """All versions of what is at `link`."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.folder = link.with_name(f"{link.name}{_SUFFIX}")

    @classmethod
    def around(cls, version: Path) -> "Versions | None":
        """All versions beside one, by its folder; None for a folder that is no version."""
        name = version.parent.name.removesuffix(_SUFFIX)
        return cls(version.parent.with_name(name)) if name != version.parent.name else None

    @property
    def names(self) -> list[str]:
        """Names of all versions, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted((path.name for path in self.folder.iterdir() if path.name.isdecimal()), key=int)

    @property
    def current(self) -> Path | None:
        """Folder of the version in use; None when there is none yet."""
        return self.folder / self.link.readlink().name if self.link.is_symlink() else None

    @contextmanager
    def stage(self, *, activate: bool = True) -> Iterator[tuple[str, Path]]:
        """Context manager: name and empty folder of the next version, which is there when the body ends well.

        Args:
            activate: make it the one in use, too.

        Raises:
            VersionError: another writer made the next version in the meantime; nothing of it is touched.
        """
        remove_abandoned(self.folder)
        staging = self._hidden()
        staging.mkdir(parents=True)
        name = f"{int(self.names[-1]) + 1 if self.names else 1:04d}"
        try:
            yield name, staging
            try:
                staging.rename(self.folder / name)
            except OSError as error:
                raise VersionError(f"{self.folder / name}: another writer was first; try again") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        if activate:
            self.activate(name)

    def activate(self, name: str) -> None:
        """Make a version the one in use. Raises `VersionError` when there is none of that name."""
        if name not in self.names:
            raise VersionError(f"version: must be one of {', '.join(self.names) or 'none yet'}, got {name!r}")
        if self.link.is_dir() and not self.link.is_symlink():
            shutil.rmtree(self.link)  # of the time before versions; it can be made again
        temporary = self.link.with_name(f".{self.link.name}.{uuid.uuid4().hex}.tmp")
        temporary.symlink_to(Path(self.folder.name) / name, target_is_directory=True)
        temporary.replace(self.link)

    @property
    def pinned(self) -> set[str]:
        """Names of versions that never expire: what was pushed, or reported on."""
        path = self.folder / _PINNED
        return set(json.loads(path.read_text())) if path.exists() else set()

    def pin(self, name: str, pinned: bool = True) -> None:
        """Keep a version for good, or no longer. Raises `VersionError` when there is none of that name."""
        if name not in self.names:
            raise VersionError(f"version: must be one of {', '.join(self.names) or 'none yet'}, got {name!r}")
        write_json(self.folder / _PINNED, sorted(self.pinned | {name} if pinned else self.pinned - {name}))

    def remove(self, name: str) -> None:
        """Remove a version; where it is in use, the newest other one is used instead, if there is one."""
        if self.current is not None and self.current.name == name:
            others = [other for other in self.names if other != name]
            if others:
                self.activate(others[-1])
            else:
                self.link.unlink()
        self._delete(name)

    def expire(self, keep: int, spared: Collection[str] = (), older_than: float = 0.0) -> list[str]:
        """Remove all but the newest `keep` versions, pinned ones, the one in use and those `spared`; returns what went.

        Those that were followed by the next one less than `older_than` seconds ago stay too: a training that takes so
        long may still read them.

        Raises:
            VersionError: `keep` is below 1.
        """
        if keep < 1:
            raise VersionError(f"keep: must be at least 1, got {keep}")
        spared = {*spared, *self.pinned, *([self.current.name] if self.current else [])}
        left = {name: self._made(after) for name, after in pairwise(self.names)}
        left_before = time.time() - older_than
        old = [name for name in self.names[:-keep] if name not in spared and left[name] < left_before]
        for name in old:
            self._delete(name)
        return old

    def _delete(self, name: str) -> None:
        """Delete a version's folder. It is renamed first, since what is killed half-way must not leave half of it."""
        hidden = self._hidden()
        (self.folder / name).rename(hidden)
        shutil.rmtree(hidden)

    def _hidden(self) -> Path:
        """A new name in the folder, of what is no version yet, or none any more."""
        return self.folder / f".{uuid.uuid4().hex}.tmp"

    def _made(self, name: str) -> float:
        return (self.folder / name).stat().st_mtime


def share(source: Path, folder: Path) -> None:
    """Put a file into another folder without copying it, where the file system can."""
    try:
        os.link(source, folder / source.name)
    except OSError:
        shutil.copy2(source, folder / source.name)
