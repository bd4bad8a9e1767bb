"""Take-down: what exactly has to go when somebody asks for a post, a product or a picture to be removed.

It is found in the crawl tables, and in what waits to be written to them: the rows of a post or product, or every row
that shows a picture. A picture that no other row shows is gone for good, and by its sha256 it is found in all that was
derived from it. Where it gave a near-duplicate cluster its name, the cluster takes the name of the next picture in it.
`curation.purge` removes, `curation.proof` searches what may have been forgotten.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from curation.places import tables_of
from curation.schemas import POSTS
from curation.tables import ShardedTable, append_lines, read_lines

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
_CRAWLED: Final = ("site", "post_id", "product_id", "image_url", "sha256")
_STAGED: Final = """
SELECT {key}, json_extract(row, '$.product_id'), image_url, sha256 FROM rows LEFT JOIN pictures ON url = image_url
"""
_HASHES: Final = "dedup/image_hashes"
_CLUSTERS: Final = "dedup/duplicate_clusters"


@dataclass(frozen=True)
class Removal:
    """What has to go, as values that columns have. Ids are `site/id`."""

    posts: frozenset[str] = frozenset()
    products: frozenset[str] = frozenset()
    pictures: frozenset[str] = frozenset()  # sha256 of pictures that nothing else shows, and of crops of them
    urls: frozenset[str] = frozenset()  # of those pictures, and those that were named
    phashes: frozenset[int] = frozenset()  # of those pictures, to know them in another encoding
    renamed: Mapping[str, str] = field(default_factory=dict)  # near-duplicate cluster → its new name

    def mask(self, table: pa.Table | pa.RecordBatch) -> pa.ChunkedArray | pa.Array:
        """Which rows have to go: those of a post, of a product, or of a picture by its sha256 or address."""
        names = table.schema.names
        parts = [pa.array([False] * len(table), pa.bool_())]
        for column, ids in (("post_id", self.posts), ("product_id", self.products)):
            if ids and "site" in names and column in names:
                key = pc.binary_join_element_wise(table["site"], table[column].cast(pa.string()), "/")
                parts.append(pc.fill_null(_is_in(key, ids), False))
        parts += [_is_in(table[name], self.pictures) for name in digest_columns(table.schema)]
        parts += [_is_in(table[name], self.urls) for name in names if name == "image_url"]
        return reduce(pc.or_, parts)

    def without(self, table: pa.Table) -> pa.Table:
        """The rows that stay, with clusters renamed."""
        left = table.filter(pc.invert(self.mask(table)))
        for name in (name for name in left.column_names if name.endswith("cluster_id")):
            if pc.any(_is_in(left[name], self.renamed)).as_py():
                values = [self.renamed.get(value, value) for value in left[name].to_pylist()]
                left = _with(left, name, pa.array(values, pa.string()))
        if "is_representative" in left.column_names:
            left = _with(left, "is_representative", pc.equal(left["sha256"], left["cluster_id"]))
        return left


def digest_columns(schema: pa.Schema) -> list[str]:
    """Columns that may name a picture by its sha256, whatever they are called; clusters are renamed instead."""
    texts = (column.name for column in schema if pa.types.is_string(column.type))
    return [name for name in texts if not name.endswith("cluster_id")]


def find(data: Path, site: str, kind: Kind, values: Iterable[str]) -> tuple[Removal, list[str]]:
    """Resolve posts (ids), products (ids) or images (addresses or sha256) of a site; a picture is found on every site.

    Returns:
        What has to go, and those of the values that were never crawled.
    """
    wanted = frozenset(values)
    named = [row for table in _crawled(data) for row in table.filter(_called(table, site, kind, wanted)).to_pylist()]
    known = {str(row[name]) for row in named for name in _CALLED[kind]}
    pictures = {row["sha256"] for row in named} - {None}
    if kind == "image":  # under whatever address
        named = [row for table in _crawled(data) for row in table.filter(_is_in(table["sha256"], pictures)).to_pylist()]
    else:  # what another post or product shows too stays
        pictures -= {sha for table in _crawled(data) for sha in _elsewhere(table, pictures, site, kind, wanted)}
    ids = frozenset(f"{site}/{value}" for value in wanted)
    addresses = frozenset(value for value in wanted if kind == "image" and "://" in value)
    removal = Removal(
        posts=ids if kind == "post" else frozenset(),
        products=ids if kind == "product" else frozenset(),
        pictures=frozenset(pictures),
        urls=frozenset(row["image_url"] for row in named if row["sha256"] in pictures) | addresses,
        phashes=frozenset(row["phash"] for row in _rows(data, _HASHES, ["phash"], "sha256", pictures)),
    )
    return replace(removal, pictures=frozenset(pictures | _crops(data, removal))), sorted(wanted - known)


def also_seen(data: Path, removal: Removal) -> list[str]:
    """Posts that show a photo of what goes, or a near-duplicate of a picture that goes. They stay, but somebody should
    look at them."""
    pictures = removal.pictures | _photos(data, removal)
    touched = {row["cluster_id"] for row in _rows(data, _CLUSTERS, ["cluster_id"], "sha256", pictures)}
    alike = {row["sha256"] for row in _rows(data, _CLUSTERS, ["sha256"], "cluster_id", touched)} - removal.pictures
    seen = _rows(data, _HASHES, ["site", "post_id"], "sha256", alike)
    return sorted({f"{row['site']}/{row['post_id']}" for row in seen if row["post_id"] is not None} - removal.posts)


def _photos(data: Path, removal: Removal) -> set[str]:
    """Photos of the posts that go, those that another post shows too among them."""
    photos: set[str] = set()
    for batch in ShardedTable(tables_of(data) / _HASHES).batches(["site", "post_id", "role", "sha256"]):
        photos |= set(
            batch.filter(pc.and_(removal.mask(batch), pc.equal(batch["role"], "photo")))["sha256"].to_pylist()
        )
    return photos


def record(data: Path, removal: Removal, reason: str, images: Collection[str] = ()) -> None:
    """Note a take-down before anything is removed: one that was interrupted can be repeated, and so can its proof.

    The new names of clusters are noted too: the table that tells them is one of the first that are rewritten.

    Args:
        data: the data folder.
        removal: what goes.
        reason: who asked, when, by which right.
        images: addresses and digests by which pictures were named, by which the take-down can be withdrawn.
    """
    known = {name: sorted(getattr(removal, name)) for name in _RECORDED}
    line = {"reason": reason, "images": sorted(images), **known, "renamed": _renamed(data, removal)}
    append_lines(data / RECORD, [json.dumps(line, ensure_ascii=False)])


def withdraw(data: Path, names: Collection[str], reason: str) -> None:
    """Note that what was named so (`site/id`, or a picture's address or digest) is no longer taken down.

    What a take-down found of several names stays out until the last of them is withdrawn: nothing tells whose it was.
    """
    line = {"reason": reason, "withdrawn": sorted(names), **{name: [] for name in _RECORDED}}
    append_lines(data / RECORD, [json.dumps(line, ensure_ascii=False)])


def names_taken_down(data: Path) -> frozenset[str]:
    """By which names things were taken down, and not withdrawn since."""
    return frozenset(name for line in _standing(read_lines(data / RECORD)) for name in line.get(_naming(line), ()))


def _standing(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the record, without what later ones withdrew; clusters were renamed all the same."""
    standing: list[dict[str, Any]] = []
    for line in lines:
        if withdrawn := set(line.get("withdrawn", ())):
            standing = [_without(earlier, withdrawn) for earlier in standing]
        standing.append(line)
    return standing


def _without(line: dict[str, Any], withdrawn: Collection[str]) -> dict[str, Any]:
    by = _naming(line)
    left = [name for name in line.get(by, ()) if name not in withdrawn]
    return line | {by: left} if left else line | {name: [] for name in (by, *_RECORDED)}


def _naming(line: Mapping[str, Any]) -> str:
    """The field of a line by which its take-down named things. Earlier releases had no `images`."""
    fields = ("posts", "products", "images", "urls", "pictures")
    return next((name for name in fields if line.get(name)), "images")


def recorded(data: Path, withdrawn: Collection[str] = ()) -> Removal:
    """Everything that was taken down from a data folder, also by a take-down that was interrupted, and not withdrawn
    since. With names: as if those were withdrawn."""
    lines = _standing([*read_lines(data / RECORD), {"withdrawn": withdrawn, **{name: [] for name in _RECORDED}}])
    renamed: dict[str, str] = {}
    for line in lines:
        later = line.get("renamed", {})  # earlier releases noted none
        renamed = {old: later.get(new, new) for old, new in renamed.items()} | later

    def every(name: str) -> frozenset[Any]:
        return frozenset(value for line in lines for value in line[name])

    return Removal(every("posts"), every("products"), every("pictures"), every("urls"), every("phashes"), renamed)


def _renamed(data: Path, removal: Removal) -> dict[str, str]:
    """For each cluster whose representative goes, the first picture of it that stays; but the name that an earlier
    take-down gave it, of which some tables may know already, as long as that one stays."""
    before = recorded(data)
    gone = removal.pictures | before.pictures
    named = {old for old, new in before.renamed.items() if new not in gone}
    renamed: dict[str, str] = {}
    for row in _rows(data, _CLUSTERS, ["sha256", "cluster_id"], "cluster_id", gone - named):
        if row["sha256"] not in gone:
            renamed.setdefault(row["cluster_id"], row["sha256"])
    return renamed


def _crawled(data: Path) -> Iterator[pa.Table]:
    """The crawl tables, shard by shard, then what is staged, file by file; without their pictures."""
    for name in ("posts", "catalog"):
        for shard in ShardedTable(data / "crawl" / name).shards:
            yield shard.table([column for column in _CRAWLED if column in shard.schema.names])
    staging = data / "crawl" / "staging"
    for path in sorted(staging.rglob("*.sqlite")):
        yield _staged(path, "key" if path.parent.parent == staging else "NULL")  # a catalog's keys are no post ids


def _staged(path: Path, key: str) -> pa.Table:
    """The rows of a block or category that is not complete (`crawlers.staging`); in a folder named after its site."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        found = database.execute(_STAGED.format(key=key)).fetchall()
    rows = [dict(zip(_CRAWLED, (path.parent.name, *row), strict=True)) for row in found]
    return pa.Table.from_pylist(rows, pa.schema([POSTS.field(name) for name in _CRAWLED]))


def _called(table: pa.Table, site: str, kind: Kind, wanted: Collection[str]) -> pa.ChunkedArray:
    """Which rows of a crawl table a take-down names."""
    names = [name for name in _CALLED[kind] if name in table.column_names]
    parts = [pc.fill_null(_is_in(table[name].cast(pa.string()), wanted), False) for name in names]
    named = reduce(pc.or_, parts, pa.chunked_array([pa.array([False] * len(table), pa.bool_())]))
    return named if kind == "image" else pc.and_(named, pc.equal(table["site"], site))


def _elsewhere(table: pa.Table, pictures: Collection[str], site: str, kind: Kind, wanted: Collection[str]) -> set[str]:
    others = table.filter(pc.invert(_called(table, site, kind, wanted)))["sha256"]
    return set(others.filter(_is_in(others, pictures)).to_pylist())


def _rows(
    data: Path, table: str, columns: Sequence[str], key: str, values: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Rows of a derived table whose `key` is one of `values`."""
    for batch in ShardedTable(tables_of(data) / table).batches(list({*columns, key})):
        yield from batch.filter(_is_in(batch[key], values)).to_pylist()


def _crops(data: Path, removal: Removal) -> set[str]:
    """Digests of the crops that were cut out of what goes, and out of nothing that stays."""
    gone: set[str] = set()
    stays: set[str | None] = {None}
    photo = ["site", "post_id", "anchor_sha256"]  # of a product that goes, other people's photos stay
    for batch in ShardedTable(tables_of(data) / "pairs" / "candidate_pairs").batches([*photo, "crop_sha256"]):
        mask = removal.mask(batch.select(photo))
        gone |= set(batch.filter(mask)["crop_sha256"].to_pylist())
        stays |= set(batch.filter(pc.invert(mask))["crop_sha256"].to_pylist())
    return gone - stays


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), table.schema.field(name), values)


def _is_in(column: pa.ChunkedArray | pa.Array, values: Collection[str]) -> pa.ChunkedArray | pa.Array:
    return pc.is_in(column, pa.array(sorted(values), pa.string()))
