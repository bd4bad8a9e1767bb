"""The published pair dataset: append-only versions, each split, sharded, described, and swapped in whole.

`datasets.load_dataset("parquet", data_files={"train": "…/train-*.parquet", …})` opens a version with `Image` features.

A version shares with its parent every shard whose rows are all still wanted, and writes the other rows into new shards.
A shard's name ends in a digest of its rows, so a name never stands for other content.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from curation.card import write_card
from curation.dataset_plan import LEAK_COLUMNS, DatasetRules, Facts, Places, Plan, difference, make_plan
from curation.pair_rows import as_pairs, hub_schema, read_facts
from curation.places import MANIFEST, read_manifest
from curation.schemas import PAIRS
from curation.sources import UNKNOWN, Source
from curation.splits import Keys, SplitShares
from curation.tables import ShardedTable, fingerprint, write_json, write_shard
from curation.taxonomy import SPLITS
from curation.versions import Versions, share

_SHARD_ROWS: Final = 4096
_METHOD: Final = "2"  # of selection and splits; another number has the next version planned although nothing is new


def write_pair_dataset(
    candidates: ShardedTable, link: Path, rules: DatasetRules, ties: Callable[[], Keys] = tuple
) -> dict[str, Any]:
    """Publish the next version of the dataset; nothing is written when nothing would change.

    Two passes: facts only, to select and split; then the pictures of rows that are in no shard yet, streamed.

    Args:
        candidates: CANDIDATES shards.
        link: where the version in use is found; see `curation.versions`.
        rules: how much is held out, what is left out, whose terms hold.
        ties: gives keys of posts that hang together although no pair says so, as `curation.dataset_plan.photo_ties`
            does; asked only where something may have changed.

    Returns:
        The manifest of the version in use: rows per split, category and source, shards, parents, difference in rows.

    Raises:
        CurationError: no candidate is left.
        SplitLeakError: the split leaks; nothing is written.
        VersionError: another writer published in the meantime.
    """
    versions = Versions(link)
    before = versions.current
    parent = read_manifest(before) if before else {}
    made_from = fingerprint([_METHOD, candidates.fingerprint, rules.fingerprint])
    if parent.get("made_from") == made_from:
        return parent
    old = {shard.name: Facts(read_facts(shard)) for shard in ShardedTable(before).shards} if before else {}
    plan = make_plan(candidates, rules, _ever_placed(versions, old), ties())
    shared = _shared(plan, old)
    rest = plan.missing(old[name] for name in shared)
    told = {
        "review": dict(plan.review),
        "sources": _terms(plan, rules.sources),
        "shares_of_small_groups": asdict(rules.shares),
        "excluded_by_request": sorted(rules.by_request),
    }
    if not len(rest) and len(shared) == len(old) and told.items() <= parent.items():
        return parent
    with versions.stage() as (version, folder):
        for name in shared:
            share(versions.folder / parent["version"] / f"{name}.parquet", folder)
        _write_shards(candidates, plan, rest, folder, old)
        manifest = {
            "version": version,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "made_from": made_from,
            "parents": {"version": parent.get("version"), "candidates": candidates.fingerprint},
            "difference": difference(plan.rows, old.values()),
            "excluded_sources": sorted(rules.selection.sources),
            "left_out": dict(plan.left_out),
            **told,
            **describe(folder),
        }
        write_json(folder / MANIFEST, manifest)
        write_card(folder, manifest)
    return manifest


def decided(link: Path) -> tuple[SplitShares, frozenset[str]]:
    """What holds until somebody decides otherwise: the shares of the version in use, and sites left out by request."""
    current = Versions(link).current
    if current is None:
        return SplitShares(), frozenset()
    manifest = read_manifest(current)
    # An older release did not tell these sites from those that their terms exclude: nobody let them in.
    by_request = manifest.get("excluded_by_request", manifest["excluded_sources"])
    return SplitShares(**manifest["shares_of_small_groups"]), frozenset(by_request)


def describe(folder: Path) -> dict[str, Any]:
    """What a version's shards hold, for its manifest."""
    table = ShardedTable(folder)
    facts = table.table(["split", "category", "site"])
    counts = {name: Counter(facts[name].to_pylist()) for name in facts.column_names}
    return {
        "fingerprint": table.fingerprint,
        "rows": {split: counts["split"][split] for split in SPLITS},
        "rows_per_category": dict(sorted(counts["category"].items())),
        "rows_per_source": dict(sorted(counts["site"].items())),
        "shards": {shard.name: {"rows": shard.rows, "bytes": shard.size} for shard in table.shards},
    }


def _ever_placed(versions: Versions, old: Mapping[str, Facts]) -> Iterator[Facts]:
    """Rows of every version that is there, to remember their splits: what comes back may be absent from the parent.

    A shard that versions share is read once, those of the parent not again.
    """
    seen = set(old)
    yield from old.values()
    for name in versions.names:
        for shard in ShardedTable(versions.folder / name).shards:
            if shard.name not in seen:
                seen.add(shard.name)
                yield Facts(read_facts(shard).select([*LEAK_COLUMNS, "split"]))


def _shared(plan: Plan, old: Mapping[str, Facts]) -> list[str]:
    """Shards of the parent that stay as they are.

    Where rows are to be written, the split's last shard does not stay if it is not full: so there are few small ones.
    """
    wanted = set(plan.rows.digests)
    shared = [name for name, shard in old.items() if wanted.issuperset(shard.digests)]
    for split in set(plan.rows.splits[plan.missing(old[name] for name in shared)]):
        last = max((name for name in shared if name.startswith(f"{split}-")), default=None)
        if last is not None and len(old[last].table) < _SHARD_ROWS:
            shared.remove(last)
    return shared


def _write_shards(candidates: ShardedTable, plan: Plan, rest: Places, folder: Path, old: Mapping[str, Facts]) -> None:
    for split in SPLITS:
        used = [int(name.split("-")[1]) for name in old if name.startswith(f"{split}-")]
        rows = rest[plan.rows.splits[rest] == split]
        for number, start in enumerate(range(0, len(rows), _SHARD_ROWS), max(used, default=-1) + 1):
            part = rows[start : start + _SHARD_ROWS]
            digest = fingerprint([plan.rows.digests[row] for row in part])
            name = f"{split}-{number:05d}-{digest[:8]}"
            write_shard(folder, name, hub_schema(PAIRS), _with_pictures(candidates, plan, part), fingerprint=digest)


def _with_pictures(candidates: ShardedTable, plan: Plan, rows: Places) -> Iterator[pa.Table]:
    """Stream some rows of the plan, in order, with their pictures from the candidates."""
    for number in np.unique(plan.shard[rows]):
        members = rows[plan.shard[rows] == number]
        start = 0
        for batch in candidates.shards[number].batches(["kept", "anchor_bytes", "positive_bytes"]):
            kept = batch.filter(batch["kept"])
            inside = members[(plan.place[members] >= start) & (plan.place[members] < start + len(kept))]
            if len(inside):
                found = kept.take(pa.array(plan.place[inside] - start))
                facts = plan.rows.table.take(pa.array(inside))
                yield as_pairs(facts, found["anchor_bytes"], found["positive_bytes"])
            start += len(kept)


def _terms(plan: Plan, sources: Mapping[str, Source]) -> dict[str, dict[str, Any]]:
    """Terms of the sources that the version holds."""
    return {site: asdict(sources.get(site, UNKNOWN)) for site in sorted(set(plan.rows.table["site"].to_pylist()))}
