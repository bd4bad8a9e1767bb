"""Take-down: what exactly has to go when somebody asks for a post, a product or a picture to be removed.

It is found in the crawl tables: the rows of a post or product, or every row that shows a picture. A picture that no
other row shows is gone for good, and by its sha256 it is found in all that was derived from it. Where it gave a
near-duplicate cluster its name, the cluster takes the name of the next picture in it. `curation.purge` removes,
`curation.proof` searches what may have been forgotten.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from curation.tables import ShardedTable

Kind = Literal["post", "product", "image"]

RECORD: Final = "takedowns.jsonl"
"""In the data folder: what was taken down, by ids and digests; so that it stays out and the proof can be repeated."""
_RECORDED: Final = ("posts", "products", "pictures", "urls", "phashes")
_CALLED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "post": ("post_id",),
    "product": ("product_id",),
    "image": ("image_url", "sha256"),
}
"""Columns of the crawl tables by whose values a take-down names a row."""


@dataclass(frozen=True)
class Removal:
    """What has to go, as values that columns have. Ids are `site/id`."""

    posts: frozenset[str] = frozenset()
    products: frozenset[str] = frozenset()
    pictures: frozenset[str] = frozenset()  # sha256 of pictures that nothing else shows, and of crops of them
    urls: frozenset[str] = frozenset()  # of those pictures
    phashes: frozenset[int] = frozenset()  # of those pictures, to know them in another encoding
    renamed: Mapping[str, str] = field(default_factory=dict)  # near-duplicate cluster → its new name

    def mask(self, table: pa.Table | pa.RecordBatch) -> pa.ChunkedArray | pa.Array:
        """Which rows have to go: those of a post, of a product, or of a picture by its sha256 or address."""
        names = table.schema.names
        parts = [pa.array([False] * len(table), pa.bool_())]
        for column, ids in (("post_id", self.posts), ("product_id", self.products)):
            if ids and "site" in names and column in names:
                key = pc.binary_join_element_wise(table["site"], table[column].cast(pa.string()), "/")
                parts.append(pc.fill_null(pc.is_in(key, _strings(ids)), False))
        parts += [pc.is_in(table[name], _strings(self.pictures)) for name in names if "sha256" in name]
        parts += [pc.is_in(table[name], _strings(self.urls)) for name in names if name == "image_url"]
        return reduce(pc.or_, parts)

    def without(self, table: pa.Table) -> pa.Table:
        """The rows that stay, with clusters renamed."""
        left = table.filter(pc.invert(self.mask(table)))
        for name in (name for name in left.column_names if name.endswith("cluster_id")):
            values = [self.renamed.get(value, value) for value in left[name].to_pylist()]
            left = _with(left, name, pa.array(values, pa.string()))
        if "is_representative" in left.column_names:
            left = _with(left, "is_representative", pc.equal(left["sha256"], left["cluster_id"]))
        return left


def find(data: Path, site: str, kind: Kind, values: Iterable[str]) -> tuple[Removal, list[str]]:
    """Resolve posts (ids), products (ids) or images (addresses or sha256) of a site.

    Returns:
        What has to go, and those of the values that were never crawled.
    """
    wanted = frozenset(values)
    rows = [row for name in ("posts", "catalog") for row in _crawled(ShardedTable(data / "crawl" / name))]
    hit = {place for place, row in enumerate(rows) if row["site"] == site and not wanted.isdisjoint(_called(row, kind))}
    known = {name for place in hit for name in _called(rows[place], kind)}
    if kind == "image":  # wherever it was seen
        digests = {rows[place]["sha256"] for place in hit} - {None}
        hit |= {place for place, row in enumerate(rows) if row["sha256"] in digests}
    shown = {row["sha256"] for place, row in enumerate(rows) if place not in hit}
    gone = {rows[place]["sha256"] for place in hit} - shown - {None}
    ids = frozenset(f"{site}/{value}" for value in wanted)
    removal = Removal(
        posts=ids if kind == "post" else frozenset(),
        products=ids if kind == "product" else frozenset(),
        pictures=frozenset(gone),
        urls=frozenset(rows[place]["image_url"] for place in hit if rows[place]["sha256"] in gone),
        phashes=frozenset(
            row["phash"] for row in _derived(data, "dedup/image_hashes", "phash") if row["sha256"] in gone
        ),
        renamed=_renamed(data, gone),
    )
    return replace(removal, pictures=frozenset(gone | _crops(data, removal))), sorted(wanted - known)


def also_seen(data: Path, removal: Removal) -> list[str]:
    """Posts that show a near-duplicate of what goes. They stay, but somebody should look at them."""
    clusters = list(_derived(data, "dedup/duplicate_clusters", "cluster_id"))
    touched = {row["cluster_id"] for row in clusters if row["sha256"] in removal.pictures}
    alike = {row["sha256"] for row in clusters if row["cluster_id"] in touched} - removal.pictures
    seen = (row for row in _derived(data, "dedup/image_hashes", "site", "post_id") if row["sha256"] in alike)
    return sorted({f"{row['site']}/{row['post_id']}" for row in seen if row["post_id"] is not None} - removal.posts)


def record(data: Path, removal: Removal, reason: str) -> None:
    """Note a take-down before anything is removed: one that was interrupted can be repeated, and so can its proof."""
    line = {"reason": reason, **{name: sorted(getattr(removal, name)) for name in _RECORDED}}
    with (data / RECORD).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def recorded(data: Path) -> Removal:
    """Everything that was ever taken down from a data folder."""
    path = data / RECORD
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def every(name: str) -> frozenset[Any]:
        return frozenset(value for line in lines for value in line[name])

    return Removal(every("posts"), every("products"), every("pictures"), every("urls"), every("phashes"))


def _crawled(table: ShardedTable) -> Iterator[dict[str, Any]]:
    for shard in table.shards:
        names = set(shard.schema.names)
        yield from shard.table(
            [c for c in ("site", "post_id", "product_id", "image_url", "sha256") if c in names]
        ).to_pylist()


def _called(row: Mapping[str, Any], kind: Kind) -> set[str]:
    return {str(row[name]) for name in _CALLED[kind] if row.get(name) is not None}


def _derived(data: Path, table: str, *columns: str) -> Iterator[dict[str, Any]]:
    for batch in ShardedTable(data / table).batches(["sha256", *columns]):
        yield from batch.to_pylist()


def _renamed(data: Path, gone: Collection[str]) -> dict[str, str]:
    """For each cluster whose representative goes, the first picture of it that stays."""
    renamed: dict[str, str] = {}
    for row in _derived(data, "dedup/duplicate_clusters", "cluster_id"):
        if row["cluster_id"] in gone and row["sha256"] not in gone:
            renamed.setdefault(row["cluster_id"], row["sha256"])
    return renamed


def _crops(data: Path, removal: Removal) -> set[str]:
    """Digests of the crops that were cut out of what goes."""
    columns = ["site", "post_id", "anchor_sha256", "crop_sha256"]
    found: set[str] = set()
    for batch in ShardedTable(data / "pairs" / "candidate_pairs").batches(columns):
        found |= set(batch.filter(removal.mask(batch))["crop_sha256"].to_pylist())
    return found - {None}


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), table.schema.field(name), values)


def _strings(values: Collection[str]) -> pa.Array:
    return pa.array(sorted(values), pa.string())
