"""Probes of folders: data, whose world it holds, free disk, annotated and labelled sets, Dagster's home."""

import os
import shutil
from pathlib import Path
from typing import Final

from assets.world import claimed_world
from pipelines.doctor.finding import Finding, Patient
from pipelines.environments import PREFIX
from sandbox.photos import PhotoFolderError, PhotoWorld

_GIB: Final = 1024**3
_DISK_GIB: Final = {"sandbox": 2, "full": 500}
"""The demo leaves 0.3 GiB; at full size see `docs/SCALE.md`."""
_LABELS: Final = "labels.csv"
_PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp")


def data_folder(patient: Patient) -> list[Finding]:
    """The data folder can be written to, or made."""
    return [writable("data", "DATA", patient.settings.data)]


def writable(probe: str, setting: str, folder: Path) -> Finding:
    """Whether a folder that a setting names can be written to, or made."""
    folder = folder.resolve()
    at = _nearest(folder)
    if not at.is_dir():
        return Finding(probe, "fail", f"{at} is a file", f"set {PREFIX}{setting} to a folder")
    if not os.access(at, os.W_OK | os.X_OK):
        return Finding(probe, "fail", f"{at} cannot be written to", f"chown it, or set {PREFIX}{setting} to another")
    return Finding(probe, "ok", str(folder) if at == folder else f"{folder}, will be made")


def world(patient: Patient) -> list[Finding]:
    """The data folder holds the world that the settings name, or none yet."""
    owner = claimed_world(patient.settings.data)
    if owner in (None, patient.settings.world):
        return [Finding("world", "ok", owner or f"none yet; it will be {patient.settings.world!r}")]
    told = f"{patient.settings.data} holds {owner!r}, not {patient.settings.world!r}"
    return [Finding("world", "fail", told, f"set {PREFIX}DATA to another folder, or settings to that world")]


def disk(patient: Patient) -> list[Finding]:
    """There is room for what the profile writes."""
    needed = _DISK_GIB[patient.settings.profile]
    free = shutil.disk_usage(_nearest(patient.settings.data.resolve())).free / _GIB
    told = f"{free:.0f} GiB free; {patient.settings.profile} fills about {needed} from nothing"
    remedy = f"free some, or set {PREFIX}DATA to a larger disk" if free < needed else ""
    return [Finding("disk", "warn" if free < needed else "ok", told, remedy)]


def annotations(patient: Patient) -> list[Finding]:
    """The detector has something to learn from, and each folder that is set has annotations and pictures."""
    settings = patient.settings
    folders = settings.annotated | ({"coco": settings.coco} if settings.coco else {})
    if not folders and patient.full:
        remedy = f"download ModaNet or Fashionpedia and set {PREFIX}MODANET or {PREFIX}FASHIONPEDIA to its folder"
        return [Finding("annotations", "fail", "no annotated set: the detector has nothing to learn from", remedy)]
    if not folders:
        return [Finding("annotations", "ok", "drawn by the sandbox")]
    return [_annotated(name, folder) for name, folder in folders.items()]


def thumbnails(patient: Patient) -> list[Finding]:
    """A folder of labelled thumbnails says which picture shows what."""
    folder = patient.settings.thumbnails
    if folder is None:
        return []
    if not (folder / _LABELS).is_file():
        remedy = f"docs/PHOTOS.md says what {PREFIX}THUMBNAILS holds"
        return [Finding("thumbnails", "fail", f"no {_LABELS} in {folder}", remedy)]
    return [Finding("thumbnails", "ok", str(folder))]


def photos(patient: Patient) -> list[Finding]:
    """A folder of shop photos has its tables, and every picture that they name."""
    folder = patient.settings.photos
    if folder is None or patient.full:
        return []
    try:
        world = PhotoWorld(folder)
    except PhotoFolderError as error:
        return [Finding("photos", "fail", str(error), "docs/PHOTOS.md says what the folder holds")]
    posts = sum(map(len, world.posts.values()))
    return [Finding("photos", "ok", f"{folder}: {len(world.products)} products, {posts} posts")]


def _annotated(name: str, folder: Path) -> Finding:
    suffixes = {path.suffix.lower() for path in _files(folder)}
    missing = [
        what
        for what, there in (("JSON", ".json" in suffixes), ("pictures", bool(suffixes & set(_PICTURES))))
        if not there
    ]
    if missing:
        told = f"{name}: no {' and no '.join(missing)} in {folder}"
        return Finding("annotations", "fail", told, "docs/PHOTOS.md says what the folder holds")
    return Finding("annotations", "ok", f"{name}: {folder}")


def _files(folder: Path) -> list[Path]:
    return [Path(name) for _, _, names in os.walk(folder) for name in names]


def dagster_home(patient: Patient) -> list[Finding]:
    """Runs, logs and schedules have a place that outlives a command."""
    home = patient.environment.get("DAGSTER_HOME", "")
    if not home:
        told = "DAGSTER_HOME is not set: plain `dagster` commands forget their runs"
        return [Finding("dagster_home", "warn", told, "export DAGSTER_HOME=$PWD/.dagster, as make does")]
    if not Path(home).is_absolute() or not Path(home).is_dir():
        return [Finding("dagster_home", "fail", f"{home}: no such folder, by its full path", f"mkdir -p {home}")]
    if not (Path(home) / "dagster.yaml").is_file():
        told = f"{home} has no dagster.yaml: telemetry is on, pools and retention are not set"
        return [Finding("dagster_home", "warn", told, f"ln -s $PWD/dagster.yaml {home}/")]
    return [Finding("dagster_home", "ok", home)]


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return path if path.exists() else _nearest(path.parent)
