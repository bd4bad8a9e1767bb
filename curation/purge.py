"""Removing what a take-down names from a data folder: every table, every dataset version, verdicts and audits.

Nothing here knows the pipeline: a row is matched by the columns that it has, so a table that is added later is covered.
A rewritten shard gets a new fingerprint, so the next run remakes what was derived from it. Its counts stay: they tell
what was made.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa

from curation.card import write_card
from curation.dataset import describe
from curation.dedup import UNFINISHED
from curation.errors import CurationError, SchemaError
from curation.pair_rows import read_facts, row_digests
from curation.places import (
    MANIFEST,
    Found,
    Place,
    files_at,
    places_of,
    reached_files,
    read_manifest,
    remove_abandoned,
    send,
)
from curation.reasons import PostState
from curation.review import forget_pictures
from curation.tables import Shard, ShardedTable, described, fingerprint, write_json, write_shard
from curation.takedown import Removal, digest_columns
from curation.versions import Versions, share

log = logging.getLogger(__name__)

LEDGER: Final = PurePosixPath("crawl/ledger")
_EXCLUDED: Final = {
    "state": PostState.EXCLUDED.value,
    "reason": "take_down",
    "message": None,
    "photos": 0,
    "products": 0,
}


class UnreadableError(CurationError):
    """Raised for a table of which some part cannot be read; what purges many passes over that one."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What was removed from one place."""

    place: str  # below the data folder
    rows: int


def purge_tables(data: Path, removal: Removal) -> list[Purged]:
    """Rewrite every shard of a data folder that holds something of it; the ledger keeps the ids, as excluded.

    Dataset versions and indexes are not tables: see `purge_versions` and `search.index.removal`. A file that cannot be
    read, or a place that cannot be reached, stays as it is, with a warning, and keeps nothing else from being purged;
    the proof names it. What writers that were killed left behind goes, whatever it holds.
    """
    versions = Versions(data / "pair_dataset").folder.name
    done: dict[str, int] = {}
    for root in places_of(data):
        remove_abandoned(root)
        try:
            files = reached_files(root)
        except OSError as error:
            log.warning("not purged: %s", error)
            continue
        for file in files:
            folder = PurePosixPath(file.name).parent
            if folder.is_relative_to(versions):
                continue
            try:
                gone = _purge_file(root, file, removal)
            except UnreadableError as error:
                log.warning("not purged: %s", error)
                continue
            if gone is not None:
                place = str(folder if root == data else root / str(folder))
                done[place] = done.get(place, 0) + gone
    return [Purged(place, rows) for place, rows in done.items()]


def _purge_file(root: Place, file: Found, removal: Removal) -> int | None:
    """Rewrite one file; how many rows went, None where nothing had to be done."""
    ledger = PurePosixPath(file.name).is_relative_to(LEDGER)
    with _reading(file.path):
        shard = _shard(file)
        if shard is None or not (_asks_for(shard, removal) if ledger else touches(shard, removal)):
            return None
    rows = _excluded(shard, removal) if ledger else _left(shard, removal)
    return shard.rows - _rewrite(root, shard, shard.name, rows, removal).rows


@contextmanager
def _reading(path: Place) -> Iterator[None]:
    """Context manager: only reads. A disk that is full while something is written has to end everything."""
    try:
        yield
    except (OSError, pa.ArrowInvalid, SchemaError) as error:
        raise UnreadableError(f"{path}: cannot be read: {error}") from error


def _batches(shard: Shard) -> Iterator[pa.RecordBatch]:
    batches = shard.batches()
    while True:
        with _reading(shard.path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def purge_versions(versions: Versions, removal: Removal) -> list[Purged]:
    """Rewrite the shards of all versions that hold something of it, each once, and describe the versions anew.

    A version of which nothing is left is removed. What an interrupted call did not get to describe is described too:
    its card may show what its shards no longer hold. A version with a shard that cannot be read is not done, with a
    warning; the proof names it. Copies at a URL are made equal to the versions here.
    """
    done = []
    cleaned: dict[str, Path | None] = {}
    for name in versions.names:
        try:
            gone = _purge_version(versions, versions.folder / name, removal, cleaned)
        except UnreadableError as error:
            log.warning("version %s is not purged: %s", name, error)
            continue
        if gone is not None:
            done.append(Purged(f"{versions.folder.name}/{name}", gone))
    _purge_copies(versions)
    return done


def _purge_copies(versions: Versions) -> None:
    """Send the versions once more to where copies of them are, card and manifest too; copies of what is gone here go.

    A version whose manifest is there already is not sent: nothing went from it.
    """
    for tables in places_of(versions.link.parent):
        if isinstance(tables, Path):  # only a URL gets copies
            continue
        root = tables / versions.folder.name
        try:
            copies = files_at(root)
        except Exception as error:  # file systems raise errors of their own
            log.warning("not purged: %s cannot be reached: %s", root, error)
            continue
        for name in sorted({file.partition("/")[0] for file in copies}):
            if (versions.folder / name).is_dir():
                send(versions.folder / name, root / name)
            else:
                for file in files_at(root / name).values():
                    file.path.unlink()


def _purge_version(versions: Versions, folder: Path, removal: Removal, cleaned: dict[str, Path | None]) -> int | None:
    """Rewrite one version; how many rows went, None where nothing had to be done.

    `cleaned` gets what replaces a shard, by its name, which stands for its content.
    """
    table = ShardedTable(folder)
    with _reading(folder):
        shards = [shard for shard in table.shards if shard.name in cleaned or touches(shard, removal)]
    for shard in shards:
        if shard.name not in cleaned:
            cleaned[shard.name] = _clean_pairs(folder, shard, removal)
        elif (made := cleaned[shard.name]) is not None:
            share(made, folder)
        shard.path.unlink()
    return _redescribe(versions, folder) if shards or not _is_described(folder, table) else None


def purge_notes(data: Path, removal: Removal) -> list[Purged]:
    """Drop verdicts on the pictures, and what audits found of them."""
    forgotten = forget_pictures(data / "review" / "verdicts", removal.pictures)
    done = [Purged(path.relative_to(data).as_posix(), count) for path, count in forgotten.items()]
    for path in sorted((data / "audits").glob("*.json")):
        report = json.loads(path.read_text())
        known = {name: report[name] for name in ("overlaps", "left_out") if name in report}
        left = {name: list(_matches_left(rows, removal)) for name, rows in known.items()}
        if left != known:
            gone = sum(map(len, known.values())) - sum(map(len, left.values()))
            done.append(Purged(path.relative_to(data).as_posix(), gone))
            write_json(path, report | left)
    return done


def _matches_left(rows: Iterable[dict[str, Any]], removal: Removal) -> Iterator[dict[str, Any]]:
    """What an audit found, without pictures that go; an anchor whose pairs all go is cut out of one of them."""
    for row in rows:
        pairs = [pair for pair in row.get("pairs", ()) if removal.pictures.isdisjoint(pair)]
        if row["sha256"] not in removal.pictures and (pairs or "pairs" not in row):
            yield row | {"pairs": pairs} if pairs else row


def touches(shard: Shard, removal: Removal) -> bool:
    """Whether a shard holds rows that have to go, or clusters to rename. Pictures are not read."""
    pictures = digest_columns(shard.schema)
    keys = ("post_id", "is_representative")
    names = [name for name in shard.schema.names if name in (*keys, *pictures) or name.endswith("cluster_id")]
    table = shard.table(names)
    return not removal.without(table).equals(table)


def _asks_for(ledger: Shard, removal: Removal) -> bool:
    """Whether a shard of the ledger has one of the posts in another state than excluded."""
    table = ledger.table(["site", "post_id", "state"])
    return bool(set(table.filter(removal.mask(table))["state"].to_pylist()) - {_EXCLUDED["state"]})


def _shard(file: Found) -> Shard | None:
    try:
        return described(file)
    except SchemaError:  # not one of the project's tables, or no table at all, of which the proof tells
        return None


def _rewrite(root: Place, shard: Shard, name: str, rows: Iterator[pa.Table], removal: Removal) -> Shard:
    gone = sorted(removal.posts | removal.products | removal.pictures)
    schema = shard.schema
    schema = schema.with_metadata({key: text for key, text in (schema.metadata or {}).items() if key != b"fashion"})
    key = UNFINISHED if shard.fingerprint == UNFINISHED else fingerprint([shard.fingerprint, "take-down", gone])
    return write_shard(root, name, schema, rows, fingerprint=key, counts=shard.counts)


def _left(shard: Shard, removal: Removal) -> Iterator[pa.Table]:
    for batch in _batches(shard):
        yield removal.without(pa.Table.from_batches([batch]))


def _excluded(shard: Shard, removal: Removal) -> Iterator[pa.Table]:
    for batch in _batches(shard):
        rows: list[dict[str, Any]] = batch.to_pylist()
        gone = removal.mask(batch).to_pylist()
        yield pa.Table.from_pylist(
            [row | _EXCLUDED if hit else row for row, hit in zip(rows, gone, strict=True)], batch.schema
        )


def _clean_pairs(folder: Path, shard: Shard, removal: Removal) -> Path | None:
    """Write what is left of a shard under the name of its new content; None when nothing is."""
    with _reading(folder):
        left = removal.without(read_facts(shard))
    if not len(left):
        return None
    split, number, _ = shard.name.split("-")
    digest = fingerprint(row_digests(left))
    made = _rewrite(folder, shard, f"{split}-{number}-{digest[:8]}", _left(shard, removal), removal)
    return folder / f"{made.name}.parquet"


def _is_described(folder: Path, table: ShardedTable) -> bool:
    """Whether the manifest of a version, where it has one, is of the shards that are there."""
    return not (folder / MANIFEST).exists() or read_manifest(folder)["fingerprint"] == table.fingerprint


def _redescribe(versions: Versions, folder: Path) -> int:
    """Bring card and manifest of a version up to date; returns how many rows went.

    The manifest goes last: until then it does not fit the shards, which tells that something is left to do.
    """
    manifest = read_manifest(folder)
    before = int(sum(manifest["rows"].values()))
    if not list(folder.glob("*.parquet")):
        versions.remove(folder.name)
        return before
    manifest |= describe(folder)
    gone = before - int(sum(manifest["rows"].values()))
    manifest["taken_down"] = manifest.get("taken_down", 0) + gone
    write_card(folder, manifest)
    write_json(folder / MANIFEST, manifest)
    return gone
