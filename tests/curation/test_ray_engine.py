"""Ray: the same tables as the plain engine, whatever dies meanwhile, and no more threads than were reserved."""

import io
import os
import signal
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pyarrow as pa
import pytest

from curation.engine import Task, Work, map_shards
from curation.errors import StepError
from curation.ray_engine import Parcel, RayWorkers, ShardMaker, unpack
from curation.tables import Shard, ShardedTable, write_shard
from tests.curation.builders import picture, picture_row
from tests.curation.data_folder import write_table

NUMBERS = pa.schema([pa.field("n", pa.int64(), nullable=False)])
WORKERS = RayWorkers("auto", workers=2)


class Double:
    """Doubles `n`, after what its arguments ask for."""

    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = NUMBERS

    def __init__(self, note: str = "", refuse: int = -1, dies: int = -1, seconds: float = 0) -> None:
        self._note = Path(note)
        self._refuse, self._dies, self._seconds = refuse, dies, seconds

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        values = shards[0].table()["n"].to_pylist()
        with (self._note / f"{os.getpid()}.pid").open("a") as file:
            file.write(f"{values}\n")
        time.sleep(self._seconds)
        if self._refuse in values:
            raise ValueError(f"{self._refuse} is refused")
        if self._dies in values:
            os.kill(os.getpid(), signal.SIGKILL)
        counts["kept"] += len(values)
        yield pa.RecordBatch.from_pydict({"n": [2 * value for value in values]}, schema=NUMBERS)


class Model:
    """Writes what its model directory says, and with how many threads it would compute."""

    on_gpu: ClassVar[bool] = True
    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = pa.schema(
        [pa.field("text", pa.string()), pa.field("path", pa.string()), pa.field("threads", pa.string())]
    )

    def __init__(self, model: str, threads: int = 1) -> None:
        self._text, self._path = (Path(model) / "deep" / "weights.txt").read_text(), model
        self._threads = threads

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        counts["kept"] += 1
        time.sleep(0.3)
        threads = f"{self._threads} {pa.cpu_count()} {os.environ['OMP_NUM_THREADS']}"
        yield pa.RecordBatch.from_pylist([{"text": self._text, "path": self._path, "threads": threads}], self.schema)


def _numbers(root: Path, values: list[int]) -> ShardedTable:
    for value in values:
        batch = pa.RecordBatch.from_pydict({"n": [value]}, schema=NUMBERS)
        write_shard(root, f"kream/{value:06d}", NUMBERS, [batch], fingerprint=str(value))
    return ShardedTable(root)


def _pids(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.pid")]


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_parcel__elsewhere_models_are_unpacked_and_here_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0001").mkdir()
    (tmp_path / "0001" / "weights.txt").write_text("learned")
    (tmp_path / "encoder").symlink_to("0001")
    arguments = {"encoder": str(tmp_path / "encoder"), "mode": "exact", "least": 0.5, "names": ["a"]}
    monkeypatch.setattr("curation.ray_engine.node", lambda: "here")
    parcel = Parcel.of(arguments)
    assert parcel.unpack(arguments, tmp_path / "unused") == arguments
    monkeypatch.setattr("curation.ray_engine.node", lambda: "there")
    moved = parcel.unpack(arguments, tmp_path / "there")
    assert {name: moved[name] for name in ("mode", "least", "names")} == {"mode": "exact", "least": 0.5, "names": ["a"]}
    assert moved["encoder"] != arguments["encoder"]
    assert (Path(moved["encoder"]) / "weights.txt").read_text() == "learned"


def test_unpack__paths_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"))
    with pytest.raises(tarfile.OutsideDestinationError):
        unpack(data.getvalue(), tmp_path / "inside")


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ray_workers__what_fails_or_kills_its_worker_costs_only_itself(tmp_path: Path) -> None:
    table = _numbers(tmp_path / "in", [1, 3, 4, 7, 13])
    lines: list[str] = []
    arguments = {"note": str(tmp_path), "refuse": 13, "dies": 7}
    step = f"{__name__}:Double"
    report = map_shards(step, [table], tmp_path / "out", lines.append, WORKERS, **arguments)
    assert report.failed["kream/000013"] == "ValueError: 13 is refused"
    assert "3 workers died of it" in report.failed["kream/000007"]
    assert (report.made, report.skipped, len(report.failed)) == (3, 0, 2)
    assert report.table.table().to_pydict() == {"n": [2, 6, 8]}
    assert sorted(lines) == [f"Double kream/{n:06d}: 1 rows {{'kept': 1}}" for n in (1, 3, 4)]
    again = map_shards(step, [table], tmp_path / "out", workers=WORKERS, **arguments | {"refuse": -1, "dies": -1})
    assert (again.made, again.skipped) == (5, 0)  # other arguments, other rows


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ray_workers__cancelled_run_ends_its_actors(tmp_path: Path) -> None:
    table = _numbers(tmp_path / "in", list(range(8)))

    def cancel(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt):
        map_shards(f"{__name__}:Double", [table], tmp_path / "out", cancel, WORKERS, note=str(tmp_path), seconds=0.5)
    _wait_until(lambda: not any(psutil.pid_exists(pid) for pid in _pids(tmp_path)))
    assert len(ShardedTable(tmp_path / "out").shards) < 8


def test_shard_maker__model_computes_with_the_threads_that_are_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "weights.txt").write_text("learned")
    monkeypatch.setattr("curation.ray_engine.node", lambda: "here")
    monkeypatch.setattr(pa, "set_cpu_count", lambda _: None)
    work = Work(f"{__name__}:Model", {"model": str(tmp_path)}, tmp_path / "out")
    maker = ShardMaker(work, Model.version, Parcel.of(work.arguments), threads=3)
    maker.make(Task(tuple(_numbers(tmp_path / "in", [7]).shards), "key"))
    maker.close()
    (threads,) = ShardedTable(tmp_path / "out").table()["threads"].to_pylist()
    assert threads.startswith("3 ")


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ray_workers__models_travel_and_threads_are_those_reserved(tmp_path: Path) -> None:
    model = tmp_path / "models" / "detector"
    (model / "deep").mkdir(parents=True)
    (model / "deep" / "weights.txt").write_text("learned")
    table = _numbers(tmp_path / "in", list(range(6)))
    rows = map_shards(f"{__name__}:Model", [table], tmp_path / "out", workers=WORKERS, model=str(model)).table.table()
    assert set(rows["text"].to_pylist()) == {"learned"}
    assert set(rows["threads"].to_pylist()) == {"1 1 1"}
    copies = {Path(path) for path in rows["path"].to_pylist()} - {model}
    assert {path.name for path in copies} <= {"detector"}
    _wait_until(lambda: not any(path.exists() for path in copies))


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ray_workers__other_version_of_the_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _numbers(tmp_path / "in", [1])
    monkeypatch.setattr(Double, "version", "2")
    monkeypatch.setattr("curation.ray_engine._DEATHS", 2)
    with pytest.raises(StepError, match="version 1 is installed here, 2 is asked for"):
        map_shards(f"{__name__}:Double", [table], tmp_path / "out", workers=WORKERS, note=str(tmp_path))


@pytest.mark.slow
def test_ray_workers__node_killed_in_the_middle_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    for block in range(20):
        rows = [picture_row(10 * block + n, "photo", 0, picture(10 * block + n)) for n in range(10)]
        write_table(tmp_path / "posts", f"{block:06d}", rows=rows)
    posts = ShardedTable(tmp_path / "posts")
    plain = map_shards("curation.hashing:HashImages", [posts], tmp_path / "plain", mode="exact")
    doomed = cluster.add_node(num_cpus=2)
    made: list[str] = []

    def progress(line: str) -> None:
        made.append(line)
        if len(made) == 5:
            cluster.remove_node(doomed, allow_graceful=False)

    workers = RayWorkers("auto", workers=4)
    spread = map_shards("curation.hashing:HashImages", [posts], tmp_path / "ray", progress, workers, mode="exact")
    assert (spread.made, spread.failed) == (20, {})
    assert spread.table.fingerprint == plain.table.fingerprint
    assert spread.table.counts == plain.table.counts
    assert spread.table.table().equals(plain.table.table())
    for shard in plain.table.shards:
        assert (tmp_path / "ray" / f"{shard.name}.parquet").read_bytes() == shard.path.read_bytes()
