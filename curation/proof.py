"""The proof of a take-down: search every file of the data folder for what was removed, and say where was searched.

Tables are read to the last byte: ids, addresses and digests in any column, and the sha256 of everything that is stored
as bytes. Loose pictures are compared by perceptual hash, texts searched for digests and addresses. What cannot be
searched (weights, vectors) is listed as such; a table that cannot be read proves nothing and counts as found.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import ImageError
from curation.hashing import describe
from curation.images import decode
from curation.places import Found, Place, found_at, open_parquet, places_of, reached_files
from curation.purge import LEDGER
from curation.takedown import RECORD, Removal

_PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
_TEXTS: Final = frozenset({".json", ".jsonl", ".md", ".txt", ".csv", ".html", ".xml", ".yaml", ".log", ""})
_TABLES: Final = "tables: every column and picture"
_SAME_BITS: Final = 4  # of 64: a picture that was only re-encoded or scaled
_UNFINISHED: Final = ".parquet."  # in the hidden name of a table that is being written, or whose writer was killed
_KEPT: Final = frozenset({RECORD, "exclusions.jsonl"})
"""They hold ids, digests and addresses on purpose, so that nothing comes back."""
TRUTH: Final = PurePosixPath("report/truth")
"""What the sandbox serves, as it tells of itself: no shop has it, and nothing in it was crawled."""


@dataclass(frozen=True, slots=True)
class Searched:
    """A folder that was searched for files of one kind."""

    folder: str  # below the data folder
    how: str
    files: int
    found: list[str]  # what is still there; empty is the proof


def search_everywhere(data: Path, removal: Removal) -> list[Searched]:
    """Search every file below `data`, links not followed twice, and its tables elsewhere, also where they lay before;
    one entry per folder and way of searching. A place that cannot be reached proves nothing and counts as found."""
    files: dict[tuple[str, str], int] = defaultdict(int)
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        folder = path.parent.relative_to(data)
        how, matches = _search(path, folder, removal)
        files[str(folder), how] += 1
        found[str(folder), how] += _told(path, matches)
    for tables in places_of(data)[1:]:
        try:
            there = reached_files(tables)
        except OSError as error:
            files[str(tables), _TABLES] += 0
            found[str(tables), _TABLES].append(str(error))
            continue
        for file in there:
            key = str(file.path.parent), _TABLES
            files[key] += 1
            found[key] += _told(file.path, _in_parquet(file, removal))
    return [Searched(folder, how, count, found[folder, how]) for (folder, how), count in files.items()]


def _told(path: Place, matches: Iterable[str]) -> Iterator[str]:
    try:
        yield from (f"{path.name}: {match}" for match in matches)
    except (OSError, pa.ArrowInvalid, sqlite3.DatabaseError) as error:
        yield f"{path.name}: unreadable: {error}"


def _search(path: Path, folder: Path, removal: Removal) -> tuple[str, Iterable[str]]:
    suffix = path.suffix.lower()
    if path.name in _KEPT or folder.is_relative_to(LEDGER):
        return "not searched: keeps ids on purpose, as excluded", []
    if folder.is_relative_to(TRUTH):
        return "not searched: the sandbox's own truth, no crawled row", []
    if path.name.startswith(".") and _UNFINISHED in path.name:
        return _TABLES, ["unreadable: never finished"]
    if suffix == ".parquet":
        return _TABLES, _in_parquet(found_at(path.parent, path), removal)
    if suffix == ".arrow":
        return _TABLES, _in_arrow(path, removal)
    if suffix == ".sqlite":
        return "databases: every value", _in_sqlite(path, removal)
    if suffix in _PICTURES:
        return f"pictures: within {_SAME_BITS} bits of perceptual hash", _in_picture(path, removal)
    if suffix in _TEXTS:
        text = path.read_text(encoding="utf-8", errors="replace")
        return "texts: digests and addresses", [key for key in removal.pictures | removal.urls if key in text]
    return f"not searchable: {suffix} files", []


def _in_parquet(file: Found, removal: Removal) -> Iterator[str]:
    with open_parquet(file.path, file.size) as parquet:
        for group in range(parquet.num_row_groups):
            yield from _in_table(parquet.read_row_group(group), removal)


def _in_arrow(path: Path, removal: Removal) -> Iterator[str]:
    with pa.memory_map(str(path)) as source:
        yield from _in_table(pa.ipc.open_file(source).read_all(), removal)


def _in_table(table: pa.Table, removal: Removal) -> Iterator[str]:
    if rows := pc.sum(pc.cast(removal.mask(table), pa.int64())).as_py():
        yield f"{rows} rows"
    wanted = removal.pictures | removal.urls
    for name in table.column_names:
        column = table[name]
        if pa.types.is_struct(column.type):
            column = pc.struct_field(column, "bytes") if "bytes" in {f.name for f in column.type} else column
        if pa.types.is_string(column.type):
            hits = set(column.to_pylist()) & wanted
        elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            hits = {hashlib.sha256(data).hexdigest() for data in column.to_pylist() if data} & wanted
        else:
            continue
        yield from (f"{name} {hit}" for hit in hits)


def _in_sqlite(path: Path, removal: Removal) -> Iterator[str]:
    wanted = removal.pictures | removal.urls
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name out of the file itself
                values = {hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value for value in row}
                yield from (f"{table} {hit}" for hit in values & wanted)


def _in_picture(path: Path, removal: Removal) -> Iterator[str]:
    try:
        found: dict[str, Any] = describe(decode(path.read_bytes()))
    except ImageError:
        return
    bits = np.bitwise_count(np.array(sorted(removal.phashes), np.uint64) ^ np.uint64(found["phash"]))
    if not found["blank"] and (bits <= _SAME_BITS).any():
        yield "looks like a picture that was taken down"
