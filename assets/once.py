"""Make a directory once: nothing to do when it is there and was made from the same request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curation.tables import fingerprint, write_json


def once(folder: Path, request: Any, make: Callable[[], object]) -> bool:
    """Call `make`, which fills `folder`, unless the folder was made from an equal request.

    Args:
        folder: what is made. The request is kept beside it, and written last, so that a killed `make` runs again.
        request: everything that the content depends on, as JSON.
        make: replaces the folder's content.

    Returns:
        Whether `make` was called.
    """
    note = _note(folder)
    if folder.is_dir() and note.is_file() and json.loads(note.read_text()) == json.loads(json.dumps(request)):
        return False
    note.unlink(missing_ok=True)
    make()
    write_json(note, request)
    return True


def request_of(folder: Path) -> Any | None:
    """From which request a folder was made by `once`; None where it never was, or a call was killed."""
    note = _note(folder)
    return json.loads(note.read_text()) if note.is_file() else None


def _note(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.request.json")


def listing(folder: Path) -> str:
    """Digest of the names, sizes and times of all files below a folder: what a request says of data by others."""
    files = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return fingerprint([(path.relative_to(folder), found.st_size, found.st_mtime_ns) for path, found in files])
