"""Take-downs among what waits in the staging files of blocks and categories that are not complete yet."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from crawlers.blocks import locked


def forget_staged(
    out: Path, site: str, *, posts: Collection[int] = (), products: Collection[str] = (), urls: Collection[str] = ()
) -> int:
    """Delete posts, products and pictures from the staging files of a site; returns how many rows went.

    A staged post whose ledger entry goes is asked for again, and then is excluded.

    Args:
        out: folder of the crawl's tables.
        site: whose files.
        posts: ids.
        products: ids.
        urls: addresses of pictures.

    Raises:
        BlockLockedError: a crawl is writing one of the files; stop it first.
    """
    removed = 0
    for folder, keys in ((site, posts), (f"catalog/{site}", ())):  # a catalog's keys are no post ids
        for path in sorted((out / "staging" / folder).glob("*.sqlite")):
            with locked(path.with_suffix(".lock")), closing(sqlite3.connect(path)) as database:
                removed += _forget(database, keys, products, urls)
    return removed


def _forget(
    database: sqlite3.Connection, posts: Collection[int], products: Collection[str], urls: Collection[str]
) -> int:
    removed = 0
    for statement, values in (
        ("DELETE FROM rows WHERE key = ?", posts),
        ("DELETE FROM ledger WHERE post_id = ?", posts),
        ("DELETE FROM rows WHERE json_extract(row, '$.product_id') = ?", products),
        ("DELETE FROM rows WHERE image_url = ?", urls),
    ):
        removed += database.executemany(statement, [(value,) for value in values]).rowcount
    removed += database.execute("DELETE FROM pictures WHERE url NOT IN (SELECT image_url FROM rows)").rowcount
    database.commit()
    database.execute("VACUUM")  # deleted rows stay readable in the file otherwise
    return removed
