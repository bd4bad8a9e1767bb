"""Staged results: whole posts or none, each picture once, and what the exported shards hold."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawlers.errors import StoppedCrawlError
from crawlers.rows import PHOTO, PRODUCT, LedgerEntry, Picture, PostResult, Row
from crawlers.shards import export_catalog, export_posts, read_ledger
from crawlers.staging import Staging
from curation.reasons import ImageFault, PostState
from curation.schemas import CATALOG, LEDGER, POSTS
from curation.tables import SchemaError, ShardedTable

TIME = datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
PRODUCT_VALUES = {"product_id": "5", "product_name": "Tee", "brand": None, "price": 10, "product_url": "http://h/5"}


def picture(url: str, error: ImageFault | None = None, data: bytes = b"abc") -> Picture:
    if error:
        return Picture(url, TIME, error=error)
    return Picture(url, TIME, data, "JPEG", 3, 4, False, f"sha-{data.decode()}")


def result(post_id: int, state: PostState = PostState.DONE, data: bytes = b"abc", **entry: object) -> PostResult:
    if state is not PostState.DONE:
        return PostResult(LedgerEntry(post_id, state, "why", first_tried_at=TIME, last_tried_at=TIME))
    common = {"post_url": f"http://h/{post_id}", "posted_at": TIME.isoformat()}
    nothing = dict.fromkeys(PRODUCT_VALUES)
    rows = (
        Row(post_id, PHOTO, 0, f"http://h/{post_id}.jpg", {**common, **nothing}),
        Row(post_id, PRODUCT, 0, "http://h/shared.png", {**common, **PRODUCT_VALUES}),
    )
    pictures = (picture(f"http://h/{post_id}.jpg", data=data), picture("http://h/shared.png"))
    done = LedgerEntry(post_id, state, None, None, 1, 1, 1, TIME, TIME)
    return PostResult(replace(done, **entry), rows, pictures)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging" / "block.sqlite")


def test_commit__comes_back_whole_after_reopening(staging: Staging) -> None:
    staging.commit(result(1))
    staging.commit(result(2, PostState.GONE))
    staging.close()
    again = Staging(staging.path)
    assert again.entries() == {1: result(1).entry, 2: result(2, PostState.GONE).entry}
    assert [(row.role, pic.data, pic.width) for row, pic in again.rows()] == [
        ("photo", b"abc", 3),
        ("product", b"abc", 3),
    ]
    again.remove()
    assert list(staging.path.parent.iterdir()) == []


def test_commit__bad_row_changes_nothing(staging: Staging) -> None:
    bad = replace(result(1), rows=(replace(result(1).rows[0], values={"when": TIME}),))  # no JSON
    with pytest.raises(TypeError):
        staging.commit(bad)
    assert staging.entries() == {}
    assert list(staging.rows()) == []
    staging.commit(result(1))
    with pytest.raises(TypeError):
        staging.commit(bad)  # when the rows of the earlier visit are deleted already
    assert len(list(staging.rows())) == 2


def test_commit__a_later_visit_replaces_an_earlier_one(staging: Staging) -> None:
    staging.commit(result(1))
    staging.commit(replace(result(1), rows=result(1).rows[:1]))
    assert [row.role for row, _ in staging.rows()] == ["photo"]


def test_commit__killed_process_leaves_whole_posts(staging: Staging) -> None:
    code = f"""
from pathlib import Path
from crawlers.staging import Staging
from tests.crawlers.test_staging import result
staging = Staging(Path({str(staging.path)!r}))
print("begun", flush=True)
for number in range(1, 10**6):
    staging.commit(result(number))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        while len(staging.entries()) < 20:
            pass
        os.kill(writer.pid, signal.SIGKILL)
    again = Staging(staging.path)
    assert len(list(again.rows())) == 2 * len(again.entries()) > 0


def test_picture__passing_fault_is_fetched_again_and_replaced(staging: Staging) -> None:
    url = "http://h/shared.png"
    staging.commit(replace(result(1), pictures=(result(1).pictures[0], picture(url, ImageFault.TRANSFER))))
    assert staging.picture(url) is None
    staging.commit(result(2))
    found = staging.picture(url)
    assert found is not None
    assert (found.sha256, found.data) == ("sha-abc", None)
    assert all(pic.usable for _, pic in staging.rows())


def test_picture__a_good_one_outlives_a_later_fault(staging: Staging) -> None:
    staging.commit(result(1))
    staging.keep(picture("http://h/1.jpg", ImageFault.TRANSFER))
    assert [pic.data for _, pic in staging.rows()] == [b"abc", b"abc"]


def test_picture__lasting_fault_is_remembered(staging: Staging) -> None:
    staging.commit(replace(result(1), pictures=(picture("http://h/1.jpg", ImageFault.EMPTY), result(1).pictures[1])))
    found = staging.picture("http://h/1.jpg")
    assert found is not None
    assert found.error is ImageFault.EMPTY


def test_export_posts__tables_have_their_schemas_and_counts(tmp_path: Path, staging: Staging) -> None:
    staging.commit(result(2))
    staging.commit(result(1))
    staging.commit(result(3, PostState.EXCLUDED))
    posts, ledger = export_posts(tmp_path, "kream/000000", staging)
    table = posts.table()
    assert table.schema.equals(POSTS)
    assert table["post_id"].to_pylist() == [1, 1, 2, 2]
    assert table["role"].to_pylist() == ["photo", "product"] * 2
    assert table["posted_at"][0].as_py() == TIME
    assert dict(posts.counts) == {"photos": 2, "products": 2}
    assert ledger.table().schema.equals(LEDGER)
    assert dict(ledger.counts) == {"done": 2, "excluded": 1, "excluded:why": 1}


def test_export_posts__fingerprint_is_content_not_time_or_address(tmp_path: Path) -> None:
    def fingerprint(name: str, change: object = None) -> str:
        staging = Staging(tmp_path / f"{name}.sqlite")
        visit = result(1)
        if change == "time":
            later = TIME.replace(year=2030)
            visit = replace(
                visit,
                entry=replace(visit.entry, last_tried_at=later, attempts=4),
                pictures=tuple(replace(p, crawled_at=later) for p in visit.pictures),
            )
        elif change == "address":
            rows = tuple(replace(r, image_url=r.image_url.replace("//h", "//g")) for r in visit.rows)
            visit = replace(
                visit, rows=rows, pictures=tuple(replace(p, url=p.url.replace("//h", "//g")) for p in visit.pictures)
            )
        elif change == "pixels":
            visit = result(1, data=b"other")
        staging.commit(visit)
        return export_posts(tmp_path / name, "kream/000000", staging)[0].fingerprint

    first = fingerprint("a")
    assert fingerprint("b", "time") == first
    assert fingerprint("c", "address") == first
    assert fingerprint("d", "pixels") != first


def test_export_posts__merges_with_the_finished_shard(tmp_path: Path) -> None:
    first = Staging(tmp_path / "1.sqlite")
    for visit in (result(1), result(2), result(5), result(6, PostState.FAILED)):
        first.commit(visit)
    export_posts(tmp_path, "kream/000000", first)
    second = Staging(tmp_path / "2.sqlite")
    for visit in (result(2, data=b"new"), result(3), result(5, PostState.GONE), result(6, attempts=2)):
        second.commit(visit)
    export_posts(tmp_path, "kream/000000", second)
    ledger = read_ledger(tmp_path, "kream/000000")
    assert [(n, entry.state.value, entry.attempts) for n, entry in ledger.items()] == [
        (1, "done", 1),
        (2, "done", 1),
        (3, "done", 1),
        (5, "gone", 1),
        (6, "done", 2),
    ]
    table = ShardedTable(tmp_path / "posts").table()
    photos = [row for row in table.to_pylist() if row["role"] == "photo"]
    assert [(row["post_id"], row["bytes"]) for row in photos] == [(1, b"abc"), (2, b"new"), (3, b"abc"), (6, b"abc")]


@pytest.mark.parametrize(
    ("state", "reason"), [(PostState.FAILED, "why"), (PostState.FAILED, "other"), (PostState.GONE, "http_404")]
)
def test_export_posts__attempt_in_vain_touches_the_ledger_only(tmp_path: Path, state: PostState, reason: str) -> None:
    first, second = Staging(tmp_path / "1.sqlite"), Staging(tmp_path / "2.sqlite")
    for visit in (result(1), result(2, PostState.FAILED)):
        first.commit(visit)
    before, _ = export_posts(tmp_path, "kream/000000", first)
    written = before.path.stat().st_ino
    entry = replace(result(2, state).entry, reason=reason, attempts=2)
    second.commit(PostResult(entry))
    again = tuple(replace(seen, crawled_at=TIME.replace(year=2030)) for seen in result(1).pictures)
    second.commit(replace(result(1), pictures=again))  # looked at again, and the same
    after, ledger = export_posts(tmp_path, "kream/000000", second)
    assert (after.path.stat().st_ino, after.fingerprint) == (written, before.fingerprint)
    assert read_ledger(tmp_path, "kream/000000")[2] == entry
    assert ledger.counts == {"done": 1, state.value: 1, f"{state.value}:{reason}": 1}


def test_export_posts__what_is_raised_between_rows_leaves_the_shards_as_they_were(tmp_path: Path) -> None:
    def stop() -> None:
        raise StoppedCrawlError

    for number in (1, 2):
        staging = Staging(tmp_path / f"{number}.sqlite")
        staging.commit(result(number))
        if number == 1:
            export_posts(tmp_path, "kream/000000", staging)
    with pytest.raises(StoppedCrawlError):
        export_posts(tmp_path, "kream/000000", staging, stop)
    assert list(read_ledger(tmp_path, "kream/000000")) == [1]
    assert [path.name for path in (tmp_path / "posts" / "kream").iterdir()] == ["000000.parquet"]
    export_posts(tmp_path, "kream/000000", staging)
    assert list(read_ledger(tmp_path, "kream/000000")) == [1, 2]


@pytest.mark.parametrize("state", [PostState.FAILED, PostState.EMPTY])
def test_export_posts__visit_in_vain_keeps_what_is_there(tmp_path: Path, state: PostState) -> None:
    first = Staging(tmp_path / "1.sqlite")
    for post_id in (1, 2):
        first.commit(result(post_id))
    before, _ = export_posts(tmp_path, "kream/000000", first)
    second = Staging(tmp_path / "2.sqlite")
    later = TIME.replace(year=2030)
    entry = LedgerEntry(1, state, "photo_transfer", "no usable photo", 2, 0, 1, TIME, later)
    second.commit(replace(result(1, data=b"new"), entry=entry))
    after, _ = export_posts(tmp_path, "kream/000000", second)
    kept = replace(result(1).entry, attempts=2, last_tried_at=later)
    assert read_ledger(tmp_path, "kream/000000") == {1: kept, 2: result(2).entry}
    assert after.table().to_pylist() == before.table().to_pylist()
    assert after.fingerprint == before.fingerprint


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        (ImageFault.HTTP_ERROR, True),
        (ImageFault.TRANSFER, True),
        (ImageFault.NOT_CAPTURED, True),
        (ImageFault.MISSING, False),
    ],
)
def test_export_posts__picture_that_failed_in_passing_stays(tmp_path: Path, fault: ImageFault, kept: bool) -> None:
    def visit(seen: Picture, products: int) -> PostResult:
        visit = result(1, products=products)
        tagged = Row(1, PRODUCT, 1, seen.url, visit.rows[1].values)
        return PostResult(visit.entry, (*visit.rows, tagged), (*visit.pictures, seen))

    first, second = Staging(tmp_path / "1.sqlite"), Staging(tmp_path / "2.sqlite")
    first.commit(visit(picture("http://h/other.png"), 2))
    before, _ = export_posts(tmp_path, "kream/000000", first)
    rows = before.table().to_pylist()
    second.commit(visit(picture("http://h/other.png", fault), 1))
    after, ledger = export_posts(tmp_path, "kream/000000", second)
    assert (after.table().to_pylist() == rows) is kept
    assert (after.fingerprint == before.fingerprint) is kept
    assert dict(after.counts) == {"photos": 1} | ({"products": 2} if kept else {"products": 1, "image:missing": 1})
    assert ledger.table()["products"].to_pylist() == [2 if kept else 1]


def test_export_posts__picture_that_never_came_is_told(tmp_path: Path) -> None:
    for name, data in (("1", b"abc"), ("2", b"new")):
        staging = Staging(tmp_path / f"{name}.sqlite")
        visit = result(1, data=data)
        staging.commit(
            replace(visit, pictures=(visit.pictures[0], picture("http://h/shared.png", ImageFault.TRANSFER)))
        )
        shard, _ = export_posts(tmp_path, "kream/000000", staging)
    assert shard.table().select(["bytes", "error"]).to_pylist() == [
        {"bytes": b"new", "error": None},
        {"bytes": None, "error": "transfer"},
    ]


def listed(number: int, name: str, url: str) -> Row:
    values = {**PRODUCT_VALUES, "product_id": str(number), "product_name": name, "shop_category_id": 27}
    return Row(number, PRODUCT, 0, url, values)


def test_export_catalog__picture_that_failed_in_passing_stays(tmp_path: Path) -> None:
    first, second = Staging(tmp_path / "1.sqlite"), Staging(tmp_path / "2.sqlite")
    for number in (7, 8, 9):
        first.add(listed(number, "old", f"http://h/{number}.png"), picture(f"http://h/{number}.png"))
    first.add(listed(11, "old", "http://h/11.png"), picture("http://h/11.png", ImageFault.TRANSFER))
    export_catalog(tmp_path, "kream/top", first)
    second.add(listed(7, "new", "http://h/7b.png"), picture("http://h/7b.png", ImageFault.HTTP_ERROR))
    second.add(listed(8, "new", "http://h/8.png"), picture("http://h/8.png", ImageFault.MISSING))
    for number in (10, 11):
        url = f"http://h/{number}b.png"
        second.add(listed(number, "new", url), picture(url, ImageFault.HTTP_ERROR))
    table = export_catalog(tmp_path, "kream/top", second).table()
    columns = ["product_id", "product_name", "image_url", "bytes", "error"]
    assert [tuple(row.values()) for row in table.select(columns).to_pylist()] == [
        ("7", "new", "http://h/7.png", b"abc", None),
        ("8", "new", "http://h/8.png", None, "missing"),
        ("10", "new", "http://h/10b.png", None, "http_error"),
        ("11", "new", "http://h/11b.png", None, "http_error"),
    ]


def test_failed_in_passing__only_what_may_come_yet(staging: Staging) -> None:
    for number, fault in enumerate((None, *ImageFault)):
        staging.add(listed(number, "x", f"http://h/{fault}"), picture(f"http://h/{fault}", fault))
    assert staging.failed_in_passing() == {"http://h/http_error", "http://h/not_captured", "http://h/transfer"}


def test_export_catalog__one_row_per_product(tmp_path: Path, staging: Staging) -> None:
    for number in (9, 7):
        row = Row(
            number,
            PRODUCT,
            0,
            f"http://h/{number}.png",
            {**PRODUCT_VALUES, "product_id": str(number), "shop_category_id": 27},
        )
        staging.add(row, picture(f"http://h/{number}.png", ImageFault.MISSING if number == 7 else None))
    shard = export_catalog(tmp_path, "kream/top", staging)
    assert shard.table().schema.equals(CATALOG)
    assert shard.table()["product_id"].to_pylist() == ["7", "9"]
    assert dict(shard.counts) == {"products": 1, "image:missing": 1}


def test_read_ledger__foreign_file_is_refused(tmp_path: Path) -> None:
    assert read_ledger(tmp_path, "kream/000000") == {}
    path = tmp_path / "ledger" / "kream" / "000000.parquet"
    path.parent.mkdir(parents=True)
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(SchemaError):
        read_ledger(tmp_path, "kream/000000")
