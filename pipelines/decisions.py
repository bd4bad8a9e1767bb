"""What schedules and sensors decide, as plain functions on the data folder. They start nothing and know no Dagster."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from assets.once import request_of
from curation.places import read_manifest
from curation.versions import Versions
from models.promotion import CANDIDATE

FINISHED: Final = "takedowns_finished.json"
"""In a data folder: when the last take-down was done."""


def new_pairs(data: Path) -> int | None:
    """Pairs of the dataset in use that the newest encoder was not trained on; None when there is no dataset yet.

    They are what was added since the version that it learned from: one that grows as much as it shrinks has as many
    pairs and other ones. A version that is no longer there cannot be compared with: then all pairs count as new.
    """
    versions = Versions(data / "pair_dataset")
    if versions.current is None:
        return None
    request = request_of(data / "models" / CANDIDATE.format("encoder"))
    learned = request["data"] if request else None  # as `assets.artifacts.train` asks
    manifests = {name: read_manifest(versions.folder / name) for name in versions.names}
    rows = _rows(manifests[versions.current.name])
    before = [_rows(manifest) for manifest in manifests.values() if manifest["fingerprint"] == learned]
    if not before:
        return rows
    added = _added_since(learned, versions.current.name, manifests)
    return min(rows, max(0, rows - max(before)) if added is None else added)


def _added_since(learned: str | None, name: str, manifests: Mapping[str, Mapping[str, Any]]) -> int | None:
    """Pairs added from the version of a fingerprint to one that follows from it; None where it does not."""
    added = 0
    while manifests[name]["fingerprint"] != learned:
        parent = manifests[name]["parents"]["version"]
        if parent not in manifests:
            return None
        added += manifests[name]["difference"]["added"]
        name = parent
    return added


def why_no_training(data: Path, least: int) -> str | None:
    """Why a weekly training would be in vain; None when there are enough new pairs."""
    new = new_pairs(data)
    if new is None:
        return "there is no pair dataset yet: run the job everything once"
    if new < least:
        return f"{new} new pairs since the last training, {least} are wanted"
    return None


def state_of(data: Path) -> dict[str, str]:
    """Digests of the reviewers' verdicts and of the take-downs that are done: each changes when something is added.

    What a run made beside a take-down under way could hold what was just to be removed.
    """
    return {
        "verdicts": _digest(sorted((data / "review" / "verdicts").glob("*"))),
        "takedowns": _digest([data / FINISHED]),
    }


def changed(cursor: str | None, now: dict[str, str]) -> list[str]:
    """Which digests differ from those in a cursor; without one, those of what is there at all."""
    before = json.loads(cursor) if cursor else {}
    return [name for name, digest in now.items() if digest != before.get(name, _digest([]))]


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]


def _rows(manifest: dict[str, Any]) -> int:
    return int(sum(manifest["rows"].values()))
