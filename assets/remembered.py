"""Outcomes of stages that follow from their inputs alone: kept beside the stage's record, and not made a second time.

A table over shards skips what is up to date by itself. Scores, reports and contact sheets have no shards: they are
remembered whole, with the inputs that they were made from. What is remembered may show pictures of many posts, so a
take-down forgets all of it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import BaseModel

from curation.places import place
from curation.tables import ShardedTable, file_fingerprint, fingerprint, write_json

_DESCRIBES: Final = ("manifest.json", "dataset.json")
_KINDS: Final[Mapping[str, Any]] = {"md": dg.MarkdownMetadataValue, "json": dg.JsonMetadataValue}


def kept_at(data: Path, name: str) -> Path:
    """The file that remembers the outcome of a stage."""
    return data / "stages" / "remembered" / f"{name}.json"


def forget(data: Path) -> int:
    """Forget every outcome, so that all are made again; returns how many there were."""
    files = list((data / "stages" / "remembered").glob("*.json"))
    for file in files:
        file.unlink()
    return len(files)


def identity(value: Any) -> Any:
    """What changes when an input of a stage does, as JSON; for an artifact that is what its manifests say."""
    if isinstance(value, ShardedTable):
        return [str(value.root), value.prefix, value.fingerprint]
    if isinstance(value, Path):
        return [str(value), _content(value)]
    if isinstance(value, BaseModel):
        return json.loads(json.dumps(value.model_dump(), default=str))
    raise TypeError(f"an input of type {type(value).__name__} has no identity: the stage cannot be remembered")


def _content(folder: Path) -> str:
    """Digest of all manifests and links of a folder; of the names and sizes of its files where it has no manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    described = [(path, file_fingerprint(path)) for path in files if path.name in _DESCRIBES]
    links = [(path, path.readlink()) for path in sorted(folder.iterdir()) if path.is_symlink()]
    return fingerprint([links, described or [(path, path.stat().st_size) for path in files]])


def recall(path: Path, request: Any) -> dict[str, Any] | None:
    """What was remembered for this very request, if its value still is what it was."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text())
    value = _located(found["value"])
    if found["request"] != request or not _there(value) or identity(value) != found["identity"]:
        return None
    metadata = {name: _KINDS[kind](told) if kind else told for name, (kind, told) in found["metadata"].items()}
    return {**found["outcome"], "value": value, "metadata": metadata}


def remember(path: Path, request: Any, value: ShardedTable | Path, metadata: Mapping[str, Any], outcome: Any) -> None:
    """Keep an outcome: its value by reference, its metadata, and the rest of it as JSON."""
    kept = {
        "request": request,
        "identity": identity(value),
        "value": [str(value.root), value.prefix] if isinstance(value, ShardedTable) else [str(value)],
        "metadata": {name: _told(told) for name, told in metadata.items()},
        "outcome": outcome,
    }
    write_json(path, kept)


def _told(value: Any) -> tuple[str, Any]:
    for name, kind in _KINDS.items():
        if isinstance(value, kind):
            return name, value.value
    if isinstance(value, str | int | float):
        return "", value
    raise TypeError(f"metadata of type {type(value).__name__} cannot be remembered")


def _located(value: list[str]) -> ShardedTable | Path:
    return Path(value[0]) if len(value) == 1 else ShardedTable(place(value[0]), value[1])


def _there(value: ShardedTable | Path) -> bool:
    return (value.root if isinstance(value, ShardedTable) else value).is_dir()
