"""Staged results to Parquet shards: merged with what the shard already held, fingerprinted by content, not by time."""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from crawlers.rows import PHOTO, PRODUCT, LedgerEntry, Picture, Row
from crawlers.staging import Staging
from curation.reasons import PostState
from curation.schemas import CATALOG, LEDGER, POSTS
from curation.tables import Shard, read_shard, rows_to_batch, write_shard

_ROWS_PER_BATCH: Final = 64  # rows hold pictures: a batch of about 10 MB
_UNSTABLE: Final = frozenset({"bytes", "crawled_at", "post_url", "product_url", "image_url"})
"""Columns that are no content: times, addresses (a mirror serves the same), and bytes (sha256 stands for them)."""


def read_ledger(out: Path, name: str) -> dict[int, LedgerEntry]:
    """Post id → entry of a finished shard; empty when there is none."""
    path = out / "ledger" / f"{name}.parquet"
    if not path.exists():
        return {}
    rows = read_shard(out / "ledger", path).table().to_pylist()
    return {row["post_id"]: _entry(row) for row in rows}


def export_posts(out: Path, name: str, staging: Staging) -> tuple[Shard, Shard]:
    """Write the posts and ledger shards of a block: staged posts replace those of the same id, the others stay.

    A post that was done stays as it was when a later visit failed; its entry tells of the attempt. So does a picture
    that failed in passing, in a post whose visit did not.
    """
    old, new = read_ledger(out, name), _with_earlier_pictures(out, name, staging)
    kept = {
        post_id: replace(old[post_id], attempts=entry.attempts, last_tried_at=entry.last_tried_at)
        for post_id, entry in new.items()
        if entry.state is PostState.FAILED and post_id in old and old[post_id].state is PostState.DONE
    }
    fresh = new.keys() - kept.keys()
    ledger = dict(sorted({**old, **new, **kept}.items()))
    site = name.split("/")[0]
    entries = [entry.values(site) for entry in ledger.values()]
    counts = Counter(entry.state.value for entry in ledger.values())
    reasons = Counter(f"{e.state.value}:{e.reason}" for e in ledger.values() if e.reason)
    digest = _digest(
        [f"{e.post_id} {e.state.value} {e.reason}" for e in ledger.values()],
        _post_rows(out, name, staging, fresh, False),
    )
    rows = _post_rows(out, name, staging, fresh, True)
    tallied: Counter[str] = Counter()
    posts = write_shard(out / "posts", name, POSTS, _batches(rows, POSTS, tallied), fingerprint=digest, counts=tallied)
    batch = rows_to_batch(entries, LEDGER)
    shard = write_shard(out / "ledger", name, LEDGER, [batch], fingerprint=digest, counts={**counts, **reasons})
    return posts, shard


def read_shop_categories(out: Path, name: str) -> frozenset[int]:
    """Shop categories of which a finished catalog shard holds products; none when there is no shard."""
    path = out / "catalog" / f"{name}.parquet"
    if not path.exists():
        return frozenset()
    return frozenset(read_shard(out / "catalog", path).table(["shop_category_id"])["shop_category_id"].to_pylist())


def export_catalog(out: Path, name: str, staging: Staging) -> Shard:
    """Write the catalog shard of one category. A product whose picture failed in passing keeps the one that it had."""
    site, category = name.split("/")
    lost = {str(row.values["product_id"]): row for row, picture in _failed_in_passing(staging)}
    for earlier in _earlier(out / "catalog", name, CATALOG, "product_id", lost):
        staging.add(replace(lost[earlier["product_id"]], image_url=earlier["image_url"]), _earlier_picture(earlier))

    def rows(with_bytes: bool) -> Iterator[dict[str, Any]]:
        for row, picture in staging.rows(with_bytes=with_bytes):
            yield {"site": site, **row.values, "category": category, **_image_values(picture)}

    tallied: Counter[str] = Counter()
    batches = _batches(rows(True), CATALOG, tallied)
    return write_shard(out / "catalog", name, CATALOG, batches, fingerprint=_digest([], rows(False)), counts=tallied)


def _with_earlier_pictures(out: Path, name: str, staging: Staging) -> dict[int, LedgerEntry]:
    """Put back what a finished shard has of pictures that failed in passing; returns the entries, counted anew."""
    lost = {picture.url for _, picture in _failed_in_passing(staging)}
    for earlier in _earlier(out / "posts", name, POSTS, "image_url", lost):
        staging.keep(_earlier_picture(earlier))
    usable = Counter((row.key, row.role) for row, picture in staging.rows(with_bytes=False) if picture.usable)
    return {
        post_id: replace(entry, photos=usable[post_id, PHOTO], products=usable[post_id, PRODUCT])
        for post_id, entry in staging.entries().items()
    }


def _failed_in_passing(staging: Staging) -> Iterator[tuple[Row, Picture]]:
    return (pair for pair in staging.rows(with_bytes=False) if pair[1].failed_in_passing)


def _earlier(
    folder: Path, name: str, schema: pa.Schema, column: str, wanted: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Rows of a finished shard that have one of some values in a column, and a usable picture."""
    path = folder / f"{name}.parquet"
    if not wanted or not path.exists():
        return
    values = pa.array(list(wanted), pa.string())
    for batch in read_shard(folder, path).batches(schema.names, _ROWS_PER_BATCH):
        yield from batch.filter(pc.and_(pc.is_in(batch[column], values), pc.is_null(batch["error"]))).to_pylist()


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


def _batches(rows: Iterator[dict[str, Any]], schema: pa.Schema, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
    while chunk := list(islice(rows, _ROWS_PER_BATCH)):
        for row in chunk:
            counts[f"{row.get('role', PRODUCT)}s" if row["error"] is None else f"image:{row['error']}"] += 1
        yield rows_to_batch(chunk, schema)


def _digest(lines: list[str], rows: Iterator[dict[str, Any]]) -> str:
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
