"""Sharded Parquet tables: written atomically with the schema checked, read as a stream.

A table is a folder, here or at a URL (`curation.places`); a shard is one Parquet file whose name is its path below that
folder without the suffix (`kream/000014`). Each shard's footer carries its fingerprint and counts, so a shard describes
itself and no manifest beside it can go stale.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from io import FileIO
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import SchemaError
from curation.places import Found, Place, found_at, open_parquet, parquet_files, publishing

log = logging.getLogger(__name__)

T = TypeVar("T")
_FOOTER_KEY: Final = b"fashion"
_ROWS_PER_GROUP: Final = 256  # rows hold pictures: small groups keep a reader's memory flat
_AT_ONCE: Final = 64 << 20  # bytes that a reader asks of a distant file at once
_FOOTERS_AT_ONCE: Final = 16  # requests for footers of distant files
_FOOTERS_KEPT: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Shard:
    """One Parquet file of a table and what its footer says."""

    name: str
    path: Place
    rows: int
    size: int  # bytes on disk
    fingerprint: str
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """Columns as written, with their comments."""
        with self.open() as file:
            return file.schema_arrow

    def open(self) -> AbstractContextManager[pq.ParquetFile]:
        """Context manager: the Parquet file."""
        return open_parquet(self.path, self.size)

    def batches(self, columns: Sequence[str] | None = None, rows: int = _ROWS_PER_GROUP) -> Iterator[pa.RecordBatch]:
        """Stream the shard, `rows` at a time, so that memory does not depend on its length."""
        names = None if columns is None else list(columns)
        with self.open() as file:
            for groups in [None] if isinstance(self.path, Path) else _spans(file.metadata, names):
                yield from file.iter_batches(batch_size=rows, row_groups=groups, columns=names)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the shard, or some columns of it, into memory."""
        with self.open() as file:
            return file.read(columns=None if columns is None else list(columns))


@dataclass(frozen=True)
class ShardedTable:
    """A reference to a table: a folder, and optionally only the shards below `prefix`."""

    root: Place
    prefix: str = ""

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """All shards in name order."""
        return tuple(of_each(described, parquet_files(self.root, self.prefix)))

    @property
    def rows(self) -> int:
        """Rows in all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def size(self) -> int:
        """Bytes on disk of all shards."""
        return sum(shard.size for shard in self.shards)

    @property
    def counts(self) -> dict[str, int]:
        """Sum of the shards' counts by name."""
        total: dict[str, int] = {}
        for shard in self.shards:
            for name, count in shard.counts.items():
                total[name] = total.get(name, 0) + count
        return total

    @property
    def fingerprint(self) -> str:
        """Changes when any shard changes, comes or goes."""
        return fingerprint([(shard.name, shard.fingerprint) for shard in self.shards])

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream all shards in name order."""
        for shard in self.shards:
            yield from shard.batches(columns)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the table, or some columns of it, into memory.

        Raises:
            SchemaError: the table has no shard, so its columns are unknown.
        """
        if not self.shards:
            raise SchemaError(f"{self.root / self.prefix} has no Parquet shard")
        return pa.concat_tables([shard.table(columns) for shard in self.shards])


def fingerprint(value: Any) -> str:
    """Short stable digest of anything that JSON can hold (keys sorted; other objects by `str`)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def file_fingerprint(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=10)).hexdigest()


def read_shard(root: Place, path: Place) -> Shard:
    """Describe one file from its footer. Raises `SchemaError` when `write_shard` did not write it, or it is damaged."""
    return described(found_at(root, path))


def described(file: Found) -> Shard:
    """The shard in a file of a listing. Raises `SchemaError` when `write_shard` did not write it, or it is damaged."""
    read = _footer if isinstance(file.path, Path) else _kept_footer
    rows, made_from, counts = read(file.path, file.size, file.stamp)
    return Shard(file.name, file.path, rows, file.size, made_from, counts)


def of_each(read: Callable[[Found], T], files: Sequence[Found]) -> list[T]:
    """What `read` gives of each file of a listing; many at once where they are distant."""
    if not files or isinstance(files[0].path, Path):
        return list(map(read, files))
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as threads:
        return list(threads.map(read, files))


def _footer(path: Place, size: int, stamp: str) -> tuple[int, str, Mapping[str, int]]:
    """Rows, fingerprint and counts of a file as it was written at `stamp`."""
    del stamp  # tells the cache below of a new file
    try:
        with open_parquet(path, size) as file:
            rows, footer = file.metadata.num_rows, (file.metadata.metadata or {}).get(_FOOTER_KEY)
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{path} is no Parquet file: {error}") from error
    if footer is None:
        raise SchemaError(f"{path} has no shard footer: it was not written by curation.tables.write_shard")
    info = json.loads(footer)
    return rows, info["fingerprint"], info["counts"]


_kept_footer = lru_cache(_FOOTERS_KEPT)(_footer)
"""Of distant files, where reading one takes tens of milliseconds."""


def _spans(metadata: pq.FileMetaData, columns: Sequence[str] | None) -> Iterator[list[int]]:
    """Row groups to read together: many where the columns are narrow, few where they hold pictures."""
    span: list[int] = []
    size = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = [group.column(place) for place in range(group.num_columns)]
        wanted = [chunk for chunk in chunks if columns is None or chunk.path_in_schema.split(".")[0] in columns]
        weight = sum(chunk.total_compressed_size for chunk in wanted)
        if span and size + weight > _AT_ONCE:
            yield span
            span, size = [], 0
        span.append(number)
        size += weight
    if span:
        yield span


def write_shard(
    root: Place,
    name: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch | pa.Table],
    *,
    fingerprint: str,
    counts: Mapping[str, int] | None = None,
) -> Shard:
    """Write a shard and publish it when it is complete: a reader sees the old file or the new one, never a part.

    Args:
        root: folder of the table.
        name: shard name, `/`-separated, without suffix.
        schema: declared schema; every batch is cast to it.
        batches: rows, streamed. A mapping given as `counts` is read after the last of them, so that it may be filled
            while they are made.
        fingerprint: identity of what the rows were made from.
        counts: named counts for people and metrics (kept, dropped per reason, …).

    Raises:
        SchemaError: a batch lacks a column, has one too many, one of another type, or a null where none may be.
    """
    path = root / f"{name}.parquet"
    with publishing(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_table(conform(batch, schema, path), row_group_size=_ROWS_PER_GROUP)
            tallied = dict(counts or {})
            footer = json.dumps({"fingerprint": fingerprint, "counts": tallied})
            writer.add_key_value_metadata({_FOOTER_KEY: footer.encode()})
        rows, size = pq.read_metadata(temporary).num_rows, temporary.stat().st_size
    return Shard(name, path, rows, size, fingerprint, tallied)


def mirror(table: ShardedTable, root: Place) -> ShardedTable:
    """Make a table at another place equal to a table: what differs is copied, what is not there any more goes."""
    there = ShardedTable(root, table.prefix)
    old = {shard.name: shard for shard in there.shards}
    for shard in table.shards:
        known = old.pop(shard.name, None)
        if known is None or (known.fingerprint, known.size) != (shard.fingerprint, shard.size):
            with (
                publishing(root / f"{shard.name}.parquet") as temporary,
                shard.path.open("rb") as source,
                temporary.open("wb") as target,
            ):
                shutil.copyfileobj(source, target)
    for gone in old.values():
        gone.path.unlink()
    return ShardedTable(root, table.prefix)


def conform(batch: pa.RecordBatch | pa.Table, schema: pa.Schema, where: object) -> pa.Table:
    """Cast rows to a declared schema. Raises `SchemaError` naming the column that does not fit."""
    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    if set(table.column_names) != set(schema.names):
        missing = sorted(set(schema.names) - set(table.column_names))
        surplus = sorted(set(table.column_names) - set(schema.names))
        raise SchemaError(f"{where}: missing columns {missing}, surplus columns {surplus}")
    columns = []
    for column in schema:
        values = table.column(column.name)
        if values.null_count and not column.nullable:
            raise SchemaError(f"{where}: column {column.name} has {values.null_count} nulls but is required")
        try:
            columns.append(values.cast(column.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SchemaError(f"{where}: column {column.name}: {error}") from error
    return pa.Table.from_arrays(columns, schema=schema)


def rows_to_batch(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Build a batch from dictionaries. Raises `SchemaError` naming the table's first bad value."""
    try:
        return pa.RecordBatch.from_pylist([dict(row) for row in rows], schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError) as error:
        raise SchemaError(f"rows do not fit {schema.names}: {error}") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically."""
    with publishing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def read_lines(path: Path) -> list[Any]:
    """The JSON values that `append_lines` wrote, one a line; none when there is no such file.

    A line that is no JSON is left out with a warning: its writer died before `append_lines` returned.
    """
    found = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also split at U+2028 within a text
        if line:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                log.warning("%s:%d was never finished; it is left out", path, number)
    return found


@contextmanager
def locked(path: Path) -> Iterator[FileIO]:
    """Context manager: a file to read and to append to, made where there is none, once no other writer has it."""
    while True:
        # Without a buffer: one that could not be written would be written once more when the file is closed.
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):  # else it was replaced meanwhile
                yield file
                return


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines and wait until they are on disk; writers take turns. On a full disk, none of them is there.

    What a writer that was killed left of its last line becomes a line of its own.
    """
    text = "".join(f"{line}\n" for line in lines).encode()
    with locked(path) as file:
        start = os.fstat(file.fileno()).st_size
        file.seek(max(0, start - 1))
        rest = memoryview(text if file.read(1) in (b"", b"\n") else b"\n" + text)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, start)
            raise
