"""What is on disk at the end of the month beside the truth: nothing lost, nothing doubled, all as it should be."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.month.world import GrowingWorld, Key, Row
from curation.dedup import DuplicateIndex
from curation.tables import ShardedTable
from pipelines.takedown import prove

_BY_POST: Final = ["site", "post_id"]
_BY_PHOTO: Final = [*_BY_POST, "position"]
_BY_TAG: Final = [*_BY_POST, "product_position", "photo_position", "box"]
_KEYS: Final[Mapping[str, list[str]]] = {
    "dedup/image_hashes/posts": [*_BY_PHOTO, "role"],
    "label/post_crops": [*_BY_PHOTO, "box", "category"],
    "label/thumbnail_categories": _BY_PHOTO,
    "pairs/pair_matches": _BY_TAG,
    "pairs/candidate_pairs": _BY_TAG,
    "pair_dataset": _BY_TAG,
}
"""Table → columns that no two of its rows share."""


@dataclass
class Findings:
    """What does not agree with the truth, by kind; nothing at all after a good month."""

    lost: list[str]
    doubled: list[str]
    wrong: list[str]

    @property
    def none(self) -> bool:
        """Whether everything agrees."""
        return not (self.lost or self.doubled or self.wrong)


def compare(data: Path, world: GrowingWorld, night: int) -> Findings:
    """Everything that is made of posts, beside the posts that there are."""
    findings = Findings([], [], [])
    done = _ledger(data, world, night, findings)
    _pictures(data, {row for key in done for row in world.rows(key)}, findings)
    _stages(data, done, findings)
    _clusters(data, findings)
    left = prove(data)["still_there"]
    findings.wrong += [f"taken down, and still in {place}: {count}" for place, count in left.items()]
    return findings


def _ledger(data: Path, world: GrowingWorld, night: int, findings: Findings) -> set[Key]:
    """Compare the states of all posts; those that were crawled."""
    expected = world.expected(night)
    columns = [*_BY_POST, "state", "reason"]
    rows = [row for site in world.sites for row in _rows(ShardedTable(data / "crawl" / "ledger", site), columns)]
    findings.doubled += [f"ledger: {key}" for key in _twice(row[:2] for row in rows)]
    found = {row[:2]: f"{row[2]} {row[3] or ''}" for row in rows}
    for key, state in expected.items():
        if key not in found:
            findings.lost.append(f"{key}: not in the ledger, should be {state}")
        elif not found[key].startswith(state):
            findings.wrong.append(f"{key}: is {found[key]}, should be {state}")
    findings.wrong += [f"{key}: in the ledger, and not there yet" for key in found.keys() - expected.keys()]
    return {key for key, state in expected.items() if state == "done"}


def _pictures(data: Path, expected: set[Row], findings: Findings) -> None:
    """Every picture of every post that was crawled is there once."""
    rows = _rows(ShardedTable(data / "crawl" / "posts"), [*_BY_POST, "role", "position"])
    posts = {row[:2] for row in expected}
    findings.doubled += [f"posts: {row}" for row in _twice(rows)]
    findings.lost += [f"posts: {row}" for row in expected - set(rows)]
    findings.wrong += [f"posts: {row} was never there" for row in set(rows) - expected if row[:2] in posts]


def _stages(data: Path, done: set[Key], findings: Findings) -> None:
    """Every table has the posts' shards, each row once, and rows of posts that were crawled only."""
    crawled = ShardedTable(data / "crawl" / "posts")
    shards = {shard.name for shard in crawled.shards}
    known = {row[:2] for row in _rows(crawled, [*_BY_POST, "error"])}
    for name, columns in _KEYS.items():
        table = ShardedTable((data / name).resolve())
        if not table.shards:
            continue
        rows = _rows(table, columns)
        findings.doubled += [f"{name}: {row}" for row in _twice(rows)]
        findings.wrong += [f"{name}: {key} was not crawled" for key in {row[:2] for row in rows} - known]
        if name != "pair_dataset":
            findings.lost += [f"{name}: shard {shard}" for shard in shards - {shard.name for shard in table.shards}]
    hashed = {row[:2] for row in _rows(ShardedTable(data / "dedup" / "image_hashes" / "posts"), _BY_POST)}
    findings.lost += [f"dedup/image_hashes/posts: {key}" for key in done - hashed]


def _clusters(data: Path, findings: Findings) -> None:
    """The clusters of a month of increments are those that are made at once."""
    with tempfile.TemporaryDirectory(prefix="fashion-month-") as folder:
        (Path(folder) / "image_hashes").symlink_to(data / "dedup" / "image_hashes")
        DuplicateIndex(Path(folder)).update()
        at_once, nightly = (_by_picture(where / "duplicate_clusters") for where in (Path(folder), data / "dedup"))
    findings.lost += [f"duplicate_clusters: {picture}" for picture in at_once.keys() - nightly.keys()]
    wrong = [picture for picture, cluster in nightly.items() if at_once.get(picture) != cluster]
    findings.wrong += [f"duplicate_clusters: {picture} is elsewhere when all is compared at once" for picture in wrong]


def _by_picture(folder: Path) -> dict[str, str]:
    return dict(_rows(ShardedTable(folder), ["sha256", "cluster_id"]))


def _rows(table: ShardedTable, columns: list[str]) -> list[tuple[Any, ...]]:
    """Rows of some columns; lists become tuples."""
    if not table.shards:
        return []
    values = table.table(columns).select(columns).to_pydict().values()
    return [tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in zip(*values, strict=True)]


def _twice(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row for row, count in Counter(rows).items() if count > 1]
