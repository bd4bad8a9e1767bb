"""Tables at URLs: on a real S3 server, the same as on this machine, and never a part of a shard."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from curation import places, tables
from curation.dedup import DuplicateIndex
from curation.engine import map_shards
from curation.errors import SchemaError
from curation.places import Place, fetched, parquet_files, place, remove_abandoned, send
from curation.tables import Shard, ShardedTable, mirror, read_shard, write_shard
from tests.curation.builders import picture, picture_row
from tests.curation.data_folder import write_table
from tests.curation.object_store import free_port, serving

NUMBERS = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("noise", pa.binary())])
HASH = "curation.hashing:HashImages"


class Slow:
    """Copies a shard, a batch at a time, and says after the first that it is in the middle."""

    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = NUMBERS

    def __init__(self, seconds: float = 0) -> None:
        self._seconds = seconds

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        for batch in shards[0].batches():
            yield batch
            counts["kept"] += len(batch)
            if shards[0].name.endswith("000002"):
                sys.stdout.write("in the middle\n")
                sys.stdout.flush()
                time.sleep(self._seconds)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """URL of an empty bucket."""
    with serving(free_port()) as url:
        yield url


@pytest.fixture
def root(bucket: str, request: pytest.FixtureRequest) -> Place:
    """A folder of its own in the bucket."""
    return place(f"{bucket}/{request.node.name}")


def _write(root: Place, name: str, values: list[int], **counts: int) -> Shard:
    columns = {"n": values, "noise": [os.urandom(2000) for _ in values]}
    batch = pa.RecordBatch.from_pydict(columns, schema=NUMBERS)
    return write_shard(root, name, NUMBERS, [batch], fingerprint=str(values), counts=counts)


def _posts(root: Place, blocks: int) -> ShardedTable:
    for block in range(blocks):
        rows = [picture_row(10 * block + n, "photo", 0, picture(10 * block + n)) for n in range(4)]
        write_table(root, f"{block:06d}", rows=rows)
    return ShardedTable(root)


def test_write_shard__round_trip_on_s3(root: Place) -> None:
    made = [_write(root, name, [1, 2], kept=2) for name in ("kream/000001", "kream/000000", "a-b/0", "a/0", "kream2/0")]
    table = ShardedTable(root, "kream")
    assert table.shards == (made[1], made[0])
    assert (table.rows, table.counts) == (4, {"kept": 4})
    assert table.table(["n"]).to_pydict() == {"n": [1, 2, 1, 2]}
    assert table.shards[0].schema.names == NUMBERS.names
    assert read_shard(root, made[0].path) == made[0]
    with pytest.raises(FileNotFoundError):
        read_shard(root, root / "kream" / "000009.parquet")


def test_place__url_of_this_machine_is_a_folder(tmp_path: Path) -> None:
    root = place(f"file://{tmp_path}/tables")
    shard = _write(root, "kream/000000", [1])
    assert shard.path == tmp_path / "tables" / "kream" / "000000.parquet"
    assert ShardedTable(root).shards == (shard,)


def test_sharded_table__order_of_names_is_that_of_this_machine(root: Place, tmp_path: Path) -> None:
    for name in ("b", "a-1", "a", "a/b", "a/a-b/c", "a_c/0"):
        for folder in (root, tmp_path):
            write_shard(folder, name, NUMBERS, [], fingerprint=name)
    assert [shard.name for shard in ShardedTable(root).shards] == [
        shard.name for shard in ShardedTable(tmp_path).shards
    ]
    assert ShardedTable(root).fingerprint == ShardedTable(tmp_path).fingerprint
    assert ShardedTable(root / "nothing").shards == ()


def test_sharded_table__what_another_process_wrote_since_is_seen(root: Place) -> None:
    _write(root, "a", [1])
    assert ShardedTable(root).rows == 1
    code = f"from tests.curation.test_places import _write, place; _write(place('{root}'), 'a', [1, 2])"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert ShardedTable(root).table(["n"]).to_pydict() == {"n": [1, 2]}


def test_sharded_table__lists_in_one_request_and_keeps_footers(root: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        _write(root, f"kream/{number}", [number])
    asked: list[str] = []
    fs: Any = root.fs  # type: ignore[union-attr]
    call = type(fs)._call_s3

    async def counted(self: Any, method: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(str(method))
        return await call(self, method, *args, **kwargs)

    monkeypatch.setattr(type(fs), "_call_s3", counted)
    tables._kept_footer.cache_clear()
    assert ShardedTable(root).rows == 5
    # s3fs asks for an object's ETag first, so that one which is replaced meanwhile is refused, not mixed.
    assert Counter(asked) == {"list_objects_v2": 1, "head_object": 5, "get_object": 5}
    asked.clear()
    assert ShardedTable(root).rows == 5
    assert asked == ["list_objects_v2"]


def test_batches__pictures_that_are_not_asked_for_are_not_read(root: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_AT_ONCE", 700_000)  # a span is two row groups with their noise, or all without
    shard = _write(root, "a", list(range(1000)))
    read = [0]
    with shard.path.open("rb") as opened:
        file: Any = type(opened)
    fetch = file._fetch_range

    def counted(self: Any, start: int, end: int) -> bytes:
        read[0] += end - start
        return fetch(self, start, end)

    monkeypatch.setattr(file, "_fetch_range", counted)
    assert [len(batch) for batch in shard.batches(["n"], rows=1000)] == [1000]
    assert read[0] < 0.2 * shard.size
    assert [n for batch in shard.batches() for n in batch["n"].to_pylist()] == list(range(1000))
    assert shard.size < read[0] < 1.3 * shard.size


def test_write_shard__bad_batch_leaves_the_old_object(root: Place) -> None:
    old = _write(root, "a", [1])
    good = pa.RecordBatch.from_pydict({"n": [7], "noise": [b""]}, schema=NUMBERS)
    with pytest.raises(SchemaError, match="missing columns"):
        write_shard(root, "a", NUMBERS, [good, pa.table({"n": [1]})], fingerprint="new")
    assert ShardedTable(root).shards == (old,)
    with pytest.raises(SchemaError, match="missing columns"):
        write_shard(root, "b", NUMBERS, [good, pa.table({"n": [1]})], fingerprint="new")
    assert [file.name for file in parquet_files(root)] == ["a"]


def test_map_shards__same_tables_from_and_to_s3(root: Place, tmp_path: Path) -> None:
    posts = _posts(tmp_path / "posts", 4)
    plain = map_shards(HASH, [posts], tmp_path / "hashes", mode="exact").table
    sent = mirror(posts, root / "posts")
    assert sent.fingerprint == posts.fingerprint
    up = map_shards(HASH, [posts], root / "up", mode="exact").table
    across = map_shards(HASH, [sent], root / "across", mode="exact").table
    down = map_shards(HASH, [sent], tmp_path / "down", mode="exact").table
    for table in (up, across, down):
        assert table.fingerprint == plain.fingerprint
        assert table.counts == plain.counts
        assert table.table().equals(plain.table())
    again = map_shards(HASH, [sent], root / "across", mode="exact")
    assert (again.made, again.skipped) == (0, 4)
    sent.shards[0].path.unlink()
    assert map_shards(HASH, [ShardedTable(root / "posts")], root / "across", mode="exact").skipped == 3
    assert len(ShardedTable(root / "across").shards) == 3


def test_mirror__sends_what_differs_and_removes_what_went(root: Place, tmp_path: Path) -> None:
    for name in ("kream/a", "kream/b", "other/c"):
        _write(tmp_path, name, [1])
    mirror(ShardedTable(tmp_path), root)
    before = {file.name: file.stamp for file in parquet_files(root)}
    (tmp_path / "kream" / "a.parquet").unlink()
    _write(tmp_path, "kream/b", [1, 2])
    table = mirror(ShardedTable(tmp_path, "kream"), root)
    assert [shard.name for shard in table.shards] == ["kream/b"]
    after = {file.name: file.stamp for file in parquet_files(root)}
    assert after.keys() == {"kream/b", "other/c"}
    assert after["other/c"] == before["other/c"]
    assert after["kream/b"] != before["kream/b"]


def test_send__manifest_last_and_only_what_is_new(root: Place, tmp_path: Path) -> None:
    version = tmp_path / "0001"
    _write(version, "train-00000-aaaa", [1])
    (version / "previews").mkdir()
    (version / "previews" / "a.jpg").write_bytes(b"picture")
    (version / "manifest.json").write_text("{}")
    send(version, root)
    copy = fetched(root, tmp_path / "cache")
    assert {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()} == {
        "train-00000-aaaa.parquet", "previews/a.jpg", "manifest.json"
    }  # fmt: skip
    assert ShardedTable(copy).fingerprint == ShardedTable(version).fingerprint
    stamp = parquet_files(root)[0].stamp
    (version / "previews" / "a.jpg").write_bytes(b"another")
    _write(version, "train-00001-bbbb", [2])
    send(version, root)
    assert len(parquet_files(root)) == 1  # the manifest says that this version is there
    (version / "manifest.json").write_text('{"rows": 2}')
    send(version, root)
    assert parquet_files(root)[0].stamp == stamp
    _write(root, "train-00002-cccc", [3])  # of an earlier manifest, left by a call that was killed
    send(version, root)
    assert [file.name for file in parquet_files(root)] == ["train-00000-aaaa", "train-00001-bbbb"]
    newer = fetched(root, tmp_path / "cache")
    assert newer != copy
    assert (newer / "previews" / "a.jpg").read_bytes() == b"another"
    assert fetched(root, tmp_path / "cache") == newer
    assert fetched(version, tmp_path / "cache") == version


def test_send__killed_at_any_time_no_manifest_tells_of_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, at, sent = tmp_path / "0001", place(f"memory:/{tmp_path}"), []
    publishing = places.publishing
    monkeypatch.setattr(places, "publishing", lambda path: sent.append(path.name) or publishing(path))
    _write(version, "train-00000-aaaa", [1])
    for name in ("README.md", "manifest.json"):
        (version / name).write_text(name)
    (at / "train-00000-aaaa.parquet").write_bytes(b"cut short")
    send(version, at)
    assert (len(sent), sent[-1]) == (3, "manifest.json")
    assert ShardedTable(at).fingerprint == ShardedTable(version).fingerprint


def test_fetched__has_the_shards_of_its_manifest_while_another_is_sent(root: Place, tmp_path: Path) -> None:
    version = tmp_path / "0001"
    _write(version, "train-00000-aaaa", [1])
    (version / "manifest.json").write_text('{"shards": {"train-00000-aaaa": {}}}')
    send(version, root)
    _write(root, "train-00000-bbbb", [1, 2])  # the manifest that names it is to come
    copy = fetched(root, tmp_path / "cache")
    assert [file.name for file in parquet_files(copy)] == ["train-00000-aaaa"]
    (root / "train-00000-aaaa.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"aaaa\.parquet: named by manifest\.json, but not there"):
        fetched(root, tmp_path / "another")


def test_duplicate_index__works_at_a_url(root: Place, tmp_path: Path) -> None:
    posts = _posts(tmp_path / "posts", 3)
    verdicts = []
    for folder in (tmp_path / "dedup", root / "dedup"):
        map_shards(HASH, [posts], folder / "image_hashes" / "posts", mode="exact")
        verdicts.append(DuplicateIndex(folder).update())
        assert DuplicateIndex(folder).update().made == 0
    assert verdicts[0].counts == verdicts[1].counts
    assert verdicts[0].table.table().equals(verdicts[1].table.table())


def test_map_shards__killed_in_the_middle_leaves_whole_shards_only(root: Place) -> None:
    for number in range(4):
        _write(root / "in", f"kream/{number:06d}", list(range(600)), kept=600)
    arguments = f"'{__name__}:Slow', [ShardedTable(place('{root}/in'))], place('{root}/out')"
    code = f"from tests.curation.test_places import *; map_shards({arguments}, seconds=60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "in the middle" in child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    assert [file.name for file in parquet_files(root / "out")] == ["kream/000000", "kream/000001"]
    report = map_shards(f"{__name__}:Slow", [ShardedTable(root / "in")], root / "out", seconds=0)
    assert (report.made, report.table.counts) == (4, {"kept": 2400})  # other arguments: all anew
    assert report.table.table().equals(ShardedTable(root / "in").table())


def test_remove_abandoned__spares_what_is_being_written(tmp_path: Path) -> None:
    (tmp_path / "kream").mkdir()
    old, new = (tmp_path / "kream" / f".{name}.parquet.0.tmp" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"PAR1")
    os.utime(old, (time.time() - 7200,) * 2)
    remove_abandoned(tmp_path, "kream")
    assert (old.exists(), new.exists()) == (False, True)


def test_remove_abandoned__spares_a_folder_in_which_a_file_grows(tmp_path: Path) -> None:
    for name, age in (("dead", 7200), ("writing", 10)):
        file = tmp_path / f".{name}.tmp" / "train-00000.parquet"
        file.parent.mkdir()
        file.write_bytes(b"PAR1")
        os.utime(file, (time.time() - age,) * 2)
        os.utime(file.parent, (time.time() - 7200,) * 2)  # nothing came or went since
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".writing.tmp"]


def test_places__are_imported_where_there_is_no_home() -> None:
    code = "from pathlib import Path; Path.home = lambda: 1 / 0; import curation.places"
    subprocess.run([sys.executable, "-c", code], check=True)
