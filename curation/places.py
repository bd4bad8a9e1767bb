"""Where tables lie: a folder of this machine, or a URL of any file system that fsspec knows, such as `s3://bucket/shop`.

A file appears whole or not at all. On this machine it is written beside its name and renamed. An object store cannot
rename, but shows an object only when all of it has arrived: the file is written on this machine and then sent. Files
are found by one listing of everything below a folder, never by asking for each. A directory of several files (a dataset
version) is complete when its manifest is there, which is sent last.
"""

import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow.parquet as pq
from fsspec.utils import tokenize
from upath import UPath

Place = Path | UPath

MANIFEST: Final = "manifest.json"
_NOTE: Final = "tables.json"
_ABANDONED: Final = 3600.0  # s: a file or folder that is being written changes more often


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a listing."""

    name: str  # below the root, `/`-separated, without suffix
    path: Place
    size: int  # bytes
    stamp: str  # another one when the file is written again


def place(at: str | os.PathLike[str]) -> Place:
    """A folder by its path, or by a URL. Raises `ValueError` for a protocol that fsspec does not know."""
    if "://" not in str(at):
        return Path(at)
    # Without a cache of listings: what others wrote since must not be missed.
    found = UPath(str(at), use_listings_cache=False)
    return Path(found.path) if found.protocol in ("file", "local") else found


def tables_of(data: Path) -> Place:
    """Where the tables of a data folder lie: in the folder itself, unless a note in it names another place."""
    at, _ = _noted(data)
    return place(at) if at else data


def places_of(data: Path) -> list[Place]:
    """Everywhere that tables of a data folder may lie: in itself, where they lie now, and where they lay before."""
    at, former = _noted(data)
    return list(dict.fromkeys([data, *(place(known) for known in (at, *former) if known)]))


def keep_tables_at(data: Path, at: str) -> None:
    """Leave that note for all who know the data folder only. An empty place is the folder itself.

    Where they lay before is noted too: nobody empties it, and a take-down has to reach it.
    """
    now, former = _noted(data)
    former = [known for known in dict.fromkeys([*former, now]) if known not in ("", at)]
    note = data / _NOTE
    if at or former:
        with publishing(note) as temporary:
            temporary.write_text(json.dumps({"tables": at, "former": former}))
    else:
        note.unlink(missing_ok=True)


def _noted(data: Path) -> tuple[str, list[str]]:
    note = data / _NOTE
    known: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {"tables": ""}
    return known["tables"], known.get("former", [])  # earlier releases forgot them


def reached_files(root: Place) -> list[Found]:
    """`parquet_files` below a place that was in use. Raises `OSError` where it cannot be reached, or is gone."""
    if isinstance(root, Path) and not root.is_dir():
        raise FileNotFoundError(f"{root} cannot be reached: there is no such folder")
    try:
        return parquet_files(root)
    except Exception as error:  # file systems raise errors of their own
        raise OSError(f"{root} cannot be reached: {error}") from error


def parquet_files(root: Place, prefix: str = "") -> list[Found]:
    """All Parquet files below `root/prefix`, in order of their names; none when there is no such folder."""
    if isinstance(root, Path):
        return [found_at(root, path) for path in sorted((root / prefix).rglob("*.parquet"))]
    files = files_at(root, prefix)
    names = sorted((name for name in files if name.endswith(".parquet")), key=PurePosixPath)
    return [replace(files[name], name=name.removesuffix(".parquet")) for name in names]


def files_at(root: UPath, prefix: str = "") -> dict[str, Found]:
    """All files below a URL, by their names with suffix, from one listing."""
    folder = root / prefix if prefix else root
    start = len(root.fs._strip_protocol(root.path)) + 1
    found = {info["name"][start:]: info for info in root.fs.find(folder.path, detail=True).values()}
    return {name: Found(name, root / name, info["size"], tokenize(info)) for name, info in found.items()}


def found_at(root: Place, path: Place) -> Found:
    """One file below a root. Raises `FileNotFoundError`."""
    name = str(path).removeprefix(str(root)).lstrip("/").removesuffix(".parquet")
    if isinstance(path, Path):
        state = path.stat()
        return Found(name, path, state.st_size, f"{state.st_mtime_ns}")
    info = path.fs.info(path.path)
    return Found(name, path, info["size"], tokenize(info))


@contextmanager
def publishing(path: Place) -> Iterator[Path]:
    """Context manager: a file of this machine to write, which appears at `path` when the body ends well."""
    if isinstance(path, Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory(prefix="fashion-") as folder:
        yield Path(folder) / path.name
        path.fs.put_file(str(Path(folder) / path.name), path.path)


def remove_abandoned(root: Place, prefix: str = "") -> None:
    """Remove what writers that were killed left below `root/prefix`. An object store has no such files."""
    for path in list((root / prefix).rglob(".*.tmp")) if isinstance(root, Path) else ():
        with suppress(FileNotFoundError):  # its writer has ended meanwhile
            changed = max(part.lstat().st_mtime for part in (path, *path.rglob("*")))
            if time.time() - changed <= _ABANDONED:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


@contextmanager
def open_parquet(path: Place, size: int) -> Iterator[pq.ParquetFile]:
    """Context manager: a Parquet file of known size, of which only what is asked for is read."""
    with ExitStack() as stack:
        if isinstance(path, Path):
            source = path
        else:
            # Arrow asks for whole column chunks at once: a cache that reads on would fetch pictures nobody wants.
            source = stack.enter_context(path.fs.open(path.path, "rb", size=size, cache_type="none"))
        yield stack.enter_context(pq.ParquetFile(source, pre_buffer=not isinstance(path, Path)))


def send(folder: Path, at: UPath) -> None:
    """Make a directory at a URL equal to a complete one here; its manifest goes last, and nothing when it is there.

    Shards of a dataset are named after their rows, so one that is there already is not sent again. What is there
    besides is removed in the end, also when a call that was killed had come that far.
    """
    there = files_at(at)
    own = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if MANIFEST not in there or (at / MANIFEST).read_bytes() != own[MANIFEST].read_bytes():
        for name in sorted(own, key=lambda name: (name == MANIFEST, name)):
            known = there.get(name) if name.endswith(".parquet") else None
            if known is None or known.size != own[name].stat().st_size:
                with publishing(at / name) as temporary:
                    shutil.copyfile(own[name], temporary)
    for name in there.keys() - own.keys():
        there[name].path.unlink()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a dataset version, a model or a report."""
    return dict(json.loads((folder / MANIFEST).read_text()))


def fetched(at: Place, cache: Path | None = None) -> Path:
    """A directory with a manifest as a folder of this machine: itself, or a copy of that manifest, kept in a cache.

    Args:
        at: the directory.
        cache: folder of the copies, by default `~/.cache/fashion-pairs`.

    Raises:
        FileNotFoundError: a shard of the manifest is not there, as while another manifest is sent; try again.
    """
    if isinstance(at, Path):
        return at
    cache = cache or Path.home() / ".cache" / "fashion-pairs"
    manifest = (at / MANIFEST).read_bytes()
    folder: Path = cache / tokenize(str(at), manifest)
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            for name in _of_manifest(manifest, files_at(at)):
                path = Path(temporary) / folder.name / name
                path.parent.mkdir(parents=True, exist_ok=True)
                at.fs.get_file((at / name).path, str(path))
            try:
                (Path(temporary) / folder.name).rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was first
                    raise
    return folder


def _of_manifest(manifest: bytes, files: Iterable[str]) -> list[str]:
    """Those of a directory's files that a manifest means: not the shards of another one that is just sent."""
    shards = json.loads(manifest).get("shards")
    if shards is None:
        return list(files)
    wanted = {f"{name}.parquet" for name in shards}
    found = [name for name in files if name in wanted or not name.endswith(".parquet")]
    if missing := sorted(wanted.difference(found)):
        raise FileNotFoundError(f"{', '.join(missing)}: named by {MANIFEST}, but not there; try again")
    return found
