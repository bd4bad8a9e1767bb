"""`python -m curation dedup`: update the verdicts, look a picture up, explain a verdict, forget pictures."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from curation.dedup import DuplicateIndex
from curation.errors import CurationError
from curation.lookup import find_picture
from curation.options import add_data
from curation.places import tables_of
from curation.tables import ShardedTable

Answer = dict[str, Any]


def add_commands(commands: Any) -> None:
    """Add `dedup` to the sub-commands of a parser."""
    parser = commands.add_parser("dedup", help="near-duplicates: update, find, explain, remove")
    actions = parser.add_subparsers(required=True, metavar="action")
    update = actions.add_parser("update", help="compare what is new in image_hashes, forget what is gone")
    update.set_defaults(run=_update)
    find = actions.add_parser("find", help="is this picture already here? Nothing is printed if not")
    find.add_argument("picture", type=Path)
    find.set_defaults(run=_find)
    explain = actions.add_parser("explain", help="the verdict on a picture, and what else is in its cluster")
    explain.add_argument("sha256")
    explain.set_defaults(run=_explain)
    remove = actions.add_parser("remove", help="forget pictures; take them out of the crawl too, or they come back")
    remove.add_argument("sha256", nargs="+")
    remove.set_defaults(run=_remove)
    for action in (update, find, explain, remove):
        add_data(action, holds="dedup/")


def _index(options: argparse.Namespace) -> DuplicateIndex:
    return DuplicateIndex(tables_of(options.data) / "dedup")


def _filled(options: argparse.Namespace) -> DuplicateIndex:
    """The index, if it was ever updated: one that was not would answer that it knows no picture."""
    index = _index(options)
    if not index.clusters.shards:
        raise CurationError(f"{options.data}: no near-duplicates yet; materialize duplicate_clusters, or give --data")
    return index


def _update(options: argparse.Namespace) -> Iterator[Answer]:
    done = _index(options).update()
    yield {"shards_made": done.made, "shards_up_to_date": done.kept, "joined": done.joined, **done.counts}


def _find(options: argparse.Namespace) -> Iterator[Answer]:
    picture = options.picture.read_bytes()
    yield from map(asdict, find_picture(_filled(options), picture))


def _explain(options: argparse.Namespace) -> Iterator[Answer]:
    clusters = _filled(options).clusters
    verdicts = _rows(clusters, "sha256", options.sha256)
    if not verdicts:
        raise CurationError(f"{options.sha256}: no such picture")
    yield from verdicts.values()
    for cluster in {row["cluster_id"] for row in verdicts.values()}:
        yield from (row for key, row in _rows(clusters, "cluster_id", cluster).items() if key not in verdicts)


def _rows(clusters: ShardedTable, column: str, value: str) -> dict[tuple[str, str], Answer]:
    """CLUSTERS rows with a value, each picture once."""
    found: dict[tuple[str, str], Answer] = {}
    for batch in clusters.batches():
        for row in batch.filter(pc.equal(batch[column], value)).to_pylist():
            found.setdefault((row["role"], row["sha256"]), row)
    return found


def _remove(options: argparse.Namespace) -> Iterator[Answer]:
    removed = _filled(options).remove(options.sha256)
    if not removed:
        raise CurationError(f"{', '.join(options.sha256)}: no such picture")
    yield {"rows_removed": removed}
