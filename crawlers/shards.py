"""Staged results to Parquet shards: merged with what the shard already held, fingerprinted by content, not by time."""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import reduce
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from crawlers.rows import PHOTO, PRODUCT, LedgerEntry, Picture, Row
from crawlers.staging import Staging
from curation.reasons import PostState
from curation.schemas import CATALOG, LEDGER, POSTS
from curation.tables import Shard, ShardedTable, read_shard, rows_to_batch, write_shard

_ROWS_PER_BATCH: Final = 64  # rows hold pictures: a batch of about 10 MB
_UNSTABLE: Final = frozenset({"bytes", "crawled_at", "post_url", "product_url", "image_url"})
"""Columns that are no content: times, addresses (a mirror serves the same), and bytes (sha256 stands for them)."""
_IN_VAIN: Final = frozenset({PostState.FAILED, PostState.EMPTY})
OnRows = Callable[[], None]


def _nothing() -> None:
    pass


def read_ledger(out: Path, name: str) -> dict[int, LedgerEntry]:
    """Post id → entry of a finished shard; empty when there is none."""
    path = out / "ledger" / f"{name}.parquet"
    if not path.exists():
        return {}
    rows = read_shard(out / "ledger", path).table().to_pylist()
    return {row["post_id"]: _entry(row) for row in rows}


def export_posts(out: Path, name: str, staging: Staging, on_rows: OnRows = _nothing) -> tuple[Shard, Shard]:
    """Write the posts and ledger shards of a block: staged posts replace those of the same id, the others stay.

    A post that was done stays as it was when a later visit failed or found no photo or no product, as on a page whose
    markup changed; its entry tells of the attempt. So does a picture that failed in passing, in a post whose visit did
    not. A posts shard that would hold what it held is not written:
    it has gigabytes, and any block has failed and deleted posts that a night tries again in vain.

    Args:
        out: folder of the crawl's tables.
        name: of the shards.
        staging: what was staged.
        on_rows: called again and again while rows are written; what it raises ends that, and the shards stay as they
            were.
    """
    old, new = read_ledger(out, name), _with_earlier_pictures(out, name, staging)
    kept = {
        post_id: replace(old[post_id], attempts=entry.attempts, last_tried_at=entry.last_tried_at)
        for post_id, entry in new.items()
        if entry.state in _IN_VAIN and post_id in old and old[post_id].state is PostState.DONE
    }
    fresh = new.keys() - kept.keys()
    ledger = dict(sorted({**old, **new, **kept}.items()))
    site = name.split("/")[0]
    entries = [entry.values(site) for entry in ledger.values()]
    counts = Counter(entry.state.value for entry in ledger.values())
    reasons = Counter(f"{e.state.value}:{e.reason}" for e in ledger.values() if e.reason)
    posts = _unchanged_posts(out, name, staging, fresh) or _write_posts(out, name, staging, fresh, on_rows)
    digest = _digest([posts.fingerprint, *(f"{e.post_id} {e.state.value} {e.reason}" for e in ledger.values())], [])
    batch = rows_to_batch(entries, LEDGER)
    shard = write_shard(out / "ledger", name, LEDGER, [batch], fingerprint=digest, counts={**counts, **reasons})
    return posts, shard


def _write_posts(out: Path, name: str, staging: Staging, fresh: Collection[int], on_rows: OnRows) -> Shard:
    digest = _digest([], _post_rows(out, name, staging, fresh, False))
    counts: Counter[str] = Counter()
    batches = _batches(_post_rows(out, name, staging, fresh, True), POSTS, counts, on_rows)
    return write_shard(out / "posts", name, POSTS, batches, fingerprint=digest, counts=counts)


def _unchanged_posts(out: Path, name: str, staging: Staging, fresh: Collection[int]) -> Shard | None:
    """The posts shard that is there, if it holds what would be written, but for the times of the fetches."""
    path = out / "posts" / f"{name}.parquet"
    if not path.exists():
        return None
    timeless = {"bytes": None, "crawled_at": None}  # sha256 stands for the bytes
    pairs = zip_longest(_old_rows(out, name, False), _post_rows(out, name, staging, fresh, False))
    if all(was and now and was | timeless == now | timeless for was, now in pairs):
        return read_shard(out / "posts", path)
    return None


def count_listed(out: Path, name: str) -> Counter[int]:
    """Shop category → products that a finished catalog shard holds of it; none when there is no shard."""
    path = out / "catalog" / f"{name}.parquet"
    if not path.exists():
        return Counter()
    return Counter(read_shard(out / "catalog", path).table(["shop_category_id"])["shop_category_id"].to_pylist())


def stage_pictures(out: Path, name: str, staging: Staging, on_rows: OnRows = _nothing) -> None:
    """Put the usable pictures of a finished catalog shard back, so that a new listing asks only for those it lacks.

    Arguments are those of `export_posts`.
    """
    for earlier in _earlier(out / "catalog", name, CATALOG):
        on_rows()
        staging.keep(_earlier_picture(earlier))


def export_catalog(
    out: Path, name: str, staging: Staging, on_rows: OnRows = _nothing, made: Collection[str] = ()
) -> Shard:
    """Write the catalog shard of one category. A product whose picture failed in passing keeps the one that it had.

    A product is in one shard of its site. One that another category lists too goes to this one, since it is newer; of
    two that were listed in one crawl, to the first by name.

    Args:
        out: see `export_posts`.
        name: see `export_posts`.
        staging: see `export_posts`.
        on_rows: see `export_posts`.
        made: shards that this crawl has written already.
    """
    site, category = name.split("/")
    shards = ShardedTable(out / "catalog", site).shards
    others = [(shard, _product_ids(shard)) for shard in shards if shard.name != name]
    taken = {number for shard, ids in others if shard.name in made and shard.name < name for number in ids}
    lost = {str(row.values["product_id"]): row for row, picture in _failed_in_passing(staging)}
    for source in (*(shard.name for shard, ids in others if ids & lost.keys()), name):
        for earlier in _earlier(out / "catalog", source, CATALOG, product_id=lost):
            staging.add(replace(lost[earlier["product_id"]], image_url=earlier["image_url"]), _earlier_picture(earlier))

    def rows(with_bytes: bool) -> Iterator[dict[str, Any]]:
        for row, picture in staging.rows(with_bytes=with_bytes):
            if row.values["product_id"] not in taken:
                yield {"site": site, **row.values, "category": category, **_image_values(picture)}

    def batches() -> Iterator[pa.RecordBatch]:
        yield from _batches(rows(True), CATALOG, tallied, on_rows)
        # Last, so that a stop among the rows leaves all shards as they were, and no kill leaves a product in two.
        for shard, ids in others:
            if gone := ids & own:
                _drop_products(out, shard, gone)

    tallied: Counter[str] = Counter()
    own = {str(row["product_id"]) for row in rows(False)}
    return write_shard(out / "catalog", name, CATALOG, batches(), fingerprint=_digest([], rows(False)), counts=tallied)


def _product_ids(shard: Shard) -> frozenset[str]:
    return frozenset(shard.table(["product_id"])["product_id"].to_pylist())


def _drop_products(out: Path, shard: Shard, ids: Collection[str]) -> None:
    """Write a catalog shard anew without some products."""

    def rows(columns: list[str]) -> Iterator[dict[str, Any]]:
        for batch in shard.batches(columns, _ROWS_PER_BATCH):
            yield from (row for row in batch.to_pylist() if row["product_id"] not in ids)

    tallied: Counter[str] = Counter()
    digest = _digest([], rows([column for column in CATALOG.names if column != "bytes"]))
    batches = _batches(rows(CATALOG.names), CATALOG, tallied, _nothing)
    write_shard(out / "catalog", shard.name, CATALOG, batches, fingerprint=digest, counts=tallied)


def _with_earlier_pictures(out: Path, name: str, staging: Staging) -> dict[int, LedgerEntry]:
    """Put back what a finished shard has of pictures that failed in passing; returns the entries, counted anew."""
    lost = {picture.url for _, picture in _failed_in_passing(staging)}
    for earlier in _earlier(out / "posts", name, POSTS, image_url=lost):
        staging.keep(_earlier_picture(earlier))
    usable = Counter((row.key, row.role) for row, picture in staging.rows(with_bytes=False) if picture.usable)
    return {
        post_id: replace(entry, photos=usable[post_id, PHOTO], products=usable[post_id, PRODUCT])
        for post_id, entry in staging.entries().items()
    }


def _failed_in_passing(staging: Staging) -> Iterator[tuple[Row, Picture]]:
    return (pair for pair in staging.rows(with_bytes=False) if pair[1].failed_in_passing)


def _earlier(folder: Path, name: str, schema: pa.Schema, **wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    """Rows of a finished shard that have a usable picture and, in each named column, one of some values."""
    path = folder / f"{name}.parquet"
    if not all(wanted.values()) or not path.exists():
        return
    allowed = {column: pa.array(list(values), pa.string()) for column, values in wanted.items()}
    for batch in read_shard(folder, path).batches(schema.names, _ROWS_PER_BATCH):
        masks = [pc.is_in(batch[column], values) for column, values in allowed.items()]
        yield from batch.filter(reduce(pc.and_, masks, pc.is_null(batch["error"]))).to_pylist()


def _earlier_picture(row: dict[str, Any]) -> Picture:
    kept = ("crawled_at", "format", "width", "height", "has_alpha", "sha256")
    return Picture(row["image_url"], data=row["bytes"], **{column: row[column] for column in kept})


def _post_rows(
    out: Path, name: str, staging: Staging, fresh: Collection[int], with_bytes: bool
) -> Iterator[dict[str, Any]]:
    old = (row for row in _old_rows(out, name, with_bytes) if row["post_id"] not in fresh)
    staged = ((row, picture) for row, picture in staging.rows(with_bytes=with_bytes) if row.key in fresh)
    new = (_post_row(name.split("/")[0], row, picture) for row, picture in staged)
    return heapq.merge(old, new, key=lambda row: (row["post_id"], row["role"] == PRODUCT, row["position"]))


def _old_rows(out: Path, name: str, with_bytes: bool) -> Iterator[dict[str, Any]]:
    path = out / "posts" / f"{name}.parquet"
    if not path.exists():
        return
    columns = [column for column in POSTS.names if with_bytes or column != "bytes"]
    for batch in read_shard(out / "posts", path).batches(columns, _ROWS_PER_BATCH):
        yield from batch.to_pylist()


def _post_row(site: str, row: Row, picture: Picture) -> dict[str, Any]:
    values = dict(row.values)
    posted_at = values.pop("posted_at", None)
    return {
        "site": site,
        "post_id": row.key,
        "role": row.role,
        "position": row.position,
        **values,
        "posted_at": None if posted_at is None else datetime.fromisoformat(posted_at),
        **_image_values(picture),
    }


def _image_values(picture: Picture) -> dict[str, Any]:
    return {
        "image_url": picture.url,
        "bytes": picture.data,
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
        "has_alpha": picture.has_alpha,
        "sha256": picture.sha256,
        "error": None if picture.error is None else picture.error.value,
        "crawled_at": picture.crawled_at,
    }


def _batches(
    rows: Iterator[dict[str, Any]], schema: pa.Schema, counts: Counter[str], on_rows: OnRows
) -> Iterator[pa.RecordBatch]:
    while chunk := list(islice(rows, _ROWS_PER_BATCH)):
        on_rows()
        for row in chunk:
            counts[f"{row.get('role', PRODUCT)}s" if row["error"] is None else f"image:{row['error']}"] += 1
        yield rows_to_batch(chunk, schema)


def _digest(lines: Iterable[str], rows: Iterable[dict[str, Any]]) -> str:
    digest = hashlib.blake2b(digest_size=10)
    for line in lines:
        digest.update(f"{line}\n".encode())
    for row in rows:
        stable = {name: str(value) for name, value in row.items() if name not in _UNSTABLE and value is not None}
        digest.update(json.dumps(stable, sort_keys=True).encode())
    return digest.hexdigest()


def _entry(row: dict[str, Any]) -> LedgerEntry:
    values = {name: value for name, value in row.items() if name not in ("site", "state")}
    return LedgerEntry(state=PostState(row["state"]), **values)
