"""Where a block's results wait until the block is done: one SQLite file, one transaction per post.

So a crawl that is killed at any moment resumes with the next post: a post is there with its rows, pictures and ledger
entry, or not at all. Each picture is kept once, however many posts show it.
"""

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from crawlers.rows import PASSING, LedgerEntry, Picture, PostResult, Row
from curation.reasons import ImageFault, PostState

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ledger (post_id INTEGER PRIMARY KEY, state TEXT NOT NULL, reason TEXT, message TEXT,
    attempts INTEGER NOT NULL, photos INTEGER NOT NULL, products INTEGER NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS rows (key INTEGER NOT NULL, rank INTEGER NOT NULL, role TEXT NOT NULL,
    position INTEGER NOT NULL, image_url TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (key, rank)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures (url TEXT PRIMARY KEY, crawled_at INTEGER NOT NULL, data BLOB, format TEXT,
    width INTEGER, height INTEGER, has_alpha INTEGER, sha256 TEXT, error TEXT);
"""
# A picture that failed is replaced by a later attempt; one that is there stays as it is.
_UPSERT: Final = """
INSERT INTO pictures VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (url) DO UPDATE SET
    crawled_at=excluded.crawled_at, data=excluded.data, format=excluded.format, width=excluded.width,
    height=excluded.height, has_alpha=excluded.has_alpha, sha256=excluded.sha256, error=excluded.error
    WHERE error IS NOT NULL
"""
_PICTURE: Final = "crawled_at, format, width, height, has_alpha, sha256, error"


class Staging:
    """The staging file of one block or one category; creates it when it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")  # safe against a kill; a power cut may lose the last posts
        self._database.executescript(_SCHEMA)

    def commit(self, result: PostResult) -> None:
        """Keep what a visit gave, replacing what an earlier visit of the same post gave."""
        entry = result.entry
        ledger = (entry.post_id, entry.state.value, entry.reason, entry.message, entry.attempts, entry.photos)
        times = (_to_ms(entry.first_tried_at), _to_ms(entry.last_tried_at))
        with self._transaction() as database:
            database.execute("DELETE FROM rows WHERE key = ?", (entry.post_id,))
            self._write(database, result.rows, result.pictures)
            database.execute(
                "INSERT OR REPLACE INTO ledger VALUES (?,?,?,?,?,?,?,?,?)", (*ledger, entry.products, *times)
            )

    def add(self, row: Row, picture: Picture) -> None:
        """Keep one row of a catalog."""
        with self._transaction() as database:
            self._write(database, (row,), (picture,))

    def keep(self, picture: Picture) -> None:
        """Keep a picture of a row that is there, unless it is there in good order."""
        with self._transaction() as database:
            self._write(database, (), (picture,))

    def drop(self, url: str) -> None:
        """Forget a picture, for one of the same address that is added next."""
        self._database.execute("DELETE FROM pictures WHERE url = ?", (url,))

    def forget_rows(self) -> None:
        """Drop the rows and keep their pictures: a catalog that is listed anew fetches only what it lacks."""
        self._database.execute("DELETE FROM rows")

    def entries(self) -> dict[int, LedgerEntry]:
        """Post id → entry of all staged posts, in order of id."""
        rows = self._database.execute("SELECT * FROM ledger ORDER BY post_id")
        return {
            row[0]: LedgerEntry(
                row[0], PostState(row[1]), row[2], row[3], row[4], row[5], row[6], _from_ms(row[7]), _from_ms(row[8])
            )
            for row in rows
        }

    def picture(self, url: str) -> Picture | None:
        """What is known of a picture, without its bytes; None when it must be fetched (again)."""
        row = self._database.execute(f"SELECT url, {_PICTURE} FROM pictures WHERE url = ?", (url,)).fetchone()  # noqa: S608
        if row is None:
            return None
        found = _picture(row[0], row[1:], None)
        return None if found.failed_in_passing else found

    def failed_in_passing(self) -> frozenset[str]:
        """Addresses of pictures that another attempt may well bring."""
        faults = self._database.execute("SELECT url, error FROM pictures WHERE error IS NOT NULL")
        return frozenset(url for url, error in faults if ImageFault(error) in PASSING)

    def rows(self, *, with_bytes: bool = True) -> Iterator[tuple[Row, Picture]]:
        """All rows with their pictures in order of key and rank, streamed."""
        data = "data" if with_bytes else "NULL"
        query = (
            f"SELECT key, role, position, image_url, row, {data}, {_PICTURE} FROM rows JOIN pictures ON url = image_url"  # noqa: S608
        )
        for row in self._database.execute(f"{query} ORDER BY key, rank"):
            values = json.loads(row[4])
            yield Row(row[0], row[1], row[2], row[3], values), _picture(row[3], row[6:], row[5])

    def close(self) -> None:
        """Close the file and keep it."""
        self._database.close()

    def remove(self) -> None:
        """Close the file and delete it: its rows are in the tables now."""
        self.close()
        for suffix in ("-wal", "-shm", ""):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _write(self, database: sqlite3.Connection, rows: tuple[Row, ...], pictures: tuple[Picture, ...]) -> None:
        database.executemany(
            "INSERT OR REPLACE INTO rows VALUES (?,?,?,?,?,?)",
            [(r.key, r.rank, r.role, r.position, r.image_url, json.dumps(dict(r.values))) for r in rows],
        )
        database.executemany(
            _UPSERT,
            [
                (p.url, _to_ms(p.crawled_at), p.data, p.format, p.width, p.height, p.has_alpha, p.sha256, p.error)
                for p in pictures
                if p.data is not None or not p.usable
            ],
        )

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._database)


def staged(path: Path) -> dict[int, LedgerEntry]:
    """Post id → entry of what a run that was cut left in a staging file."""
    staging = Staging(path)
    try:
        return staging.entries()
    finally:
        staging.close()


class _Transaction:
    """BEGIN … COMMIT, or ROLLBACK when the block raises."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        self._database.execute("BEGIN IMMEDIATE")
        return self._database

    def __exit__(self, kind: object, *_: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")


def _picture(url: str, columns: tuple[Any, ...], data: bytes | None) -> Picture:
    crawled_at, name, width, height, has_alpha, sha256, error = columns
    alpha = None if has_alpha is None else bool(has_alpha)
    fault = None if error is None else ImageFault(error)
    return Picture(url, _from_ms(crawled_at), data, name, width, height, alpha, sha256, fault)


def _to_ms(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)


def _from_ms(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
