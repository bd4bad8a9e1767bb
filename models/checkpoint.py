"""Checkpoint directories: written whole or not at all, described by `manifest.json`, verified when read.

A directory holds what transformers wrote (`config.json`, `preprocessor_config.json`, `model.safetensors`), the
training's `progress.jsonl` and its curves for TensorBoard, and the manifest. Published checkpoints have no manifest;
they load too, and get one with what their files tell.
"""

import fcntl
import functools
import glob
import hashlib
import importlib.metadata
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.tables import file_fingerprint, write_json
from models.errors import CheckpointError
from models.progress import CURVES
from models.progress import FILE_NAME as PROGRESS

Kind = Literal["detector", "classifier", "encoder"]

MANIFEST: Final = "manifest.json"
WEIGHTS: Final = "model.safetensors"
PREPROCESSING: Final = "preprocessor_config.json"
_LOCK: Final = ".lock"
_UNFINISHED: Final = ".tmp"
_REPLACED: Final = ".old"
_DIGESTED: Final = (WEIGHTS, "config.json", PREPROCESSING)


class Manifest(BaseModel):
    """What a checkpoint is and where it comes from."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Kind
    version: str = Field(description="digest of weights, architecture and preprocessing")
    data_fingerprint: str = Field(description="of the data set it was trained on; empty when unknown")
    config: dict[str, Any] = Field(description="of the trainer")
    code_version: str = Field(description="package version and digest of the models sources; empty when unknown")
    labels: list[str] = Field(description="class names in id order; empty for an encoder of all categories")
    preprocessing: dict[str, Any] = Field(description="of the image processor")
    metrics: dict[str, Any] = Field(description="on the validation set, at the step that was kept")
    created: str = Field(description="UTC, ISO 8601; empty when unknown")


def save_checkpoint(
    out: Path,
    kind: Kind,
    write: Callable[[Path], None],
    *,
    config: dict[str, Any],
    data_fingerprint: str,
    labels: list[str],
    metrics: dict[str, Any],
) -> Manifest:
    """Let `write` fill a temporary directory, add the manifest and the run's progress, and swap it in place of `out`.

    A reader sees the old checkpoint or the new one. Between the two renames of the swap it sees none, never a part.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    _clear_up(out)
    temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex}{_UNFINISHED}")
    temporary.mkdir()
    try:
        write(temporary)
        if (out / PROGRESS).is_file():
            shutil.copyfile(out / PROGRESS, temporary / PROGRESS)
        if (out / CURVES).is_dir():
            shutil.copytree(out / CURVES, temporary / CURVES)
        manifest = Manifest(
            kind=kind,
            version=_version(temporary),
            data_fingerprint=data_fingerprint,
            config=config,
            code_version=code_version(),
            labels=labels,
            preprocessing=_read_json(temporary / PREPROCESSING),
            metrics=metrics,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_json(temporary / MANIFEST, manifest.model_dump())
        _swap(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


@contextmanager
def sole_writer(out: Path) -> Iterator[None]:
    """Keep other processes from training into `out` while the context is open; a process that is killed lets go.

    A POSIX lock, since it stays with this process: workers that outlive it for a moment do not hold it.

    Raises:
        CheckpointError: another process trains into `out`.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / _LOCK
    with path.open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            gone = not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat())
        except (BlockingIOError, PermissionError) as error:  # POSIX allows either
            raise CheckpointError(f"another process is training into {out}: give each its own folder") from error
        if gone:
            raise CheckpointError(f"another process finished in {out} at this moment: start again")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if out.is_dir() and not any(out.iterdir()):  # nothing came of it
                out.rmdir()


def open_checkpoint(source: str | Path, kind: Kind) -> tuple[Path, Manifest]:
    """Find a checkpoint by directory or hub name and verify it.

    Raises:
        CheckpointError: it is not there, a file is missing or changed since it was saved, or it is of another kind.
    """
    path = locate(source)
    missing = [name for name in _DIGESTED if not (path / name).is_file()]
    if missing:
        raise CheckpointError(f"{path} lacks {', '.join(missing)}")
    manifest = _read_manifest(path) if (path / MANIFEST).is_file() else _foreign(path, kind)
    if manifest.kind != kind:
        raise CheckpointError(f"{path} is of kind {manifest.kind}, not of kind {kind}")
    if manifest.version != _version(path):
        raise CheckpointError(f"{path} has version {manifest.version} in its manifest, but its files give another")
    return path, manifest


def locate(source: str | Path) -> Path:
    """The directory of a checkpoint, fetched first when `source` is a hub name.

    Of a link to the version in use it is that version: what is read next is the same, whatever is promoted meanwhile.

    Raises:
        CheckpointError: it is neither.
    """
    path = Path(source)
    if path.is_dir():
        return path.resolve()
    if isinstance(source, Path) or source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise CheckpointError(f"{source} is no checkpoint directory")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, allow_patterns=[*_DIGESTED, MANIFEST]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(f"{source} is neither a directory nor a reachable hub repository: {error}") from error


@functools.cache
def code_version() -> str:
    """Package version and a digest of this package's sources, so that an edited working copy tells itself apart."""
    digest = hashlib.blake2b(digest_size=4)
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{importlib.metadata.version('fashion-pairs')}+{digest.hexdigest()}"


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate(_read_json(path / MANIFEST))
    except ValidationError as error:
        raise CheckpointError(f"{path / MANIFEST}: {error}") from error


def _foreign(path: Path, kind: Kind) -> Manifest:
    labels = _read_json(path / "config.json").get("id2label", {}) if kind != "encoder" else {}
    return Manifest(
        kind=kind,
        version=_version(path),
        data_fingerprint="",
        config={},
        code_version="",
        labels=[labels[key] for key in sorted(labels, key=int)],
        preprocessing=_read_json(path / PREPROCESSING),
        metrics={},
        created="",
    )


def _version(path: Path) -> str:
    digests = "".join(file_fingerprint(path / name) for name in _DIGESTED)
    return hashlib.blake2b(digests.encode(), digest_size=8).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is no readable JSON file: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds {type(value).__name__}, not an object")
    return value


def _clear_up(out: Path) -> None:
    """Remove what saves that were killed have left beside a checkpoint."""
    for path in out.parent.glob(f".{glob.escape(out.name)}.*"):
        if path.suffix in (_UNFINISHED, _REPLACED):
            shutil.rmtree(path, ignore_errors=True)


def _swap(new: Path, out: Path) -> None:
    old = out.with_name(f".{out.name}.{uuid.uuid4().hex}{_REPLACED}")
    if out.exists():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)
