"""Shards are atomic and schema-checked; the engine is incremental, and one bad shard costs only itself."""

from collections import Counter
from collections.abc import Iterator
from fcntl import flock
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from curation import tables
from curation.engine import MapReport, map_shards
from curation.errors import SchemaError, StepError
from curation.tables import Shard, ShardedTable, append_lines, read_lines, rows_to_batch, write_shard

NUMBERS = pa.schema([pa.field("n", pa.int64(), nullable=False)])


class Double:
    """Doubles `n`; refuses the shard that holds `refuse`."""

    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = NUMBERS

    def __init__(self, refuse: int = -1) -> None:
        self.refuse = refuse

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        for batch in shards[0].batches():
            values = batch.column("n").to_pylist()
            if self.refuse in values:
                raise ValueError(f"{self.refuse} is refused")
            counts["kept"] += len(values)
            yield pa.RecordBatch.from_pydict({"n": [2 * value for value in values]}, schema=NUMBERS)


def _write(root: Path, name: str, values: list[int]) -> Shard:
    batch = pa.RecordBatch.from_pydict({"n": values}, schema=NUMBERS)
    return write_shard(root, name, NUMBERS, [batch], fingerprint=str(values), counts={"kept": len(values)})


def _double(root: Path, **arguments: int) -> MapReport:
    return map_shards(f"{__name__}:Double", [ShardedTable(root / "in")], root / "out", **arguments)


def test_write_shard__round_trip(tmp_path: Path) -> None:
    shard = _write(tmp_path, "kream/000001", [1, 2, 3])
    table = ShardedTable(tmp_path)
    assert table.table().to_pydict() == {"n": [1, 2, 3]}
    assert table.shards == (shard,)
    assert (table.rows, table.counts, shard.name) == (3, {"kept": 3}, "kream/000001")
    _write(tmp_path, "kream/000002", [4])
    assert ShardedTable(tmp_path).counts == {"kept": 4}


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"n": ["x"]}, "column n"), ({"m": [1]}, "missing columns"), ({"n": [None]}, "1 nulls")],
)
def test_write_shard__wrong_columns_leave_the_old_file(tmp_path: Path, columns: dict, message: str) -> None:
    _write(tmp_path, "a", [1])
    with pytest.raises(SchemaError, match=message):
        write_shard(tmp_path, "a", NUMBERS, [pa.table(columns)], fingerprint="new")
    assert ShardedTable(tmp_path).table().to_pydict() == {"n": [1]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("value", [5, "half an emoji \ud83d"])
def test_rows_to_batch__bad_value_is_named(value: object) -> None:
    with pytest.raises(SchemaError, match="rows do not fit"):
        rows_to_batch([{"name": value}], pa.schema([pa.field("name", pa.string())]))


def test_table__empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no Parquet shard"):
        ShardedTable(tmp_path).table()


def test_map_shards__skips_what_is_current_and_remakes_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        _write(tmp_path / "in", name, [1, 2])
    assert (_double(tmp_path).made, _double(tmp_path).skipped) == (2, 2)
    _write(tmp_path / "in", "b", [5])
    again = _double(tmp_path)
    assert (again.made, again.skipped, again.table.table().to_pydict()) == (1, 1, {"n": [2, 4, 10]})
    assert _double(tmp_path, refuse=99).made == 2  # other arguments, other rows
    monkeypatch.setattr(Double, "version", "2")
    assert _double(tmp_path, refuse=99).made == 2


def test_map_shards__one_bad_shard_costs_only_itself(tmp_path: Path) -> None:
    for name, values in {"a": [1], "b": [13], "c": [3]}.items():
        _write(tmp_path / "in", name, values)
    report = _double(tmp_path, refuse=13)
    assert report.failed == {"b": "ValueError: 13 is refused"}
    assert report.table.table().to_pydict() == {"n": [2, 6]}
    again = _double(tmp_path, refuse=13)  # is not raised while others are up to date
    assert (again.made, again.skipped, list(again.failed)) == (0, 2, ["b"])


def test_map_shards__all_bad_raises(tmp_path: Path) -> None:
    _write(tmp_path / "in", "a", [13])
    with pytest.raises(StepError, match="13 is refused"):
        _double(tmp_path, refuse=13)


def test_map_shards__leaves_what_a_run_beside_it_made(tmp_path: Path) -> None:
    _write(tmp_path / "in", "a", [1])

    def beside(_: str) -> None:
        if not (tmp_path / "in" / "b.parquet").exists():
            _write(tmp_path / "in", "b", [2])
            _double(tmp_path)

    source = ShardedTable(tmp_path / "in")
    map_shards(f"{__name__}:Double", [source], tmp_path / "out", progress=beside)
    assert ShardedTable(tmp_path / "out").table().to_pydict() == {"n": [2, 4]}


def test_map_shards__shard_that_an_input_has_not_yet_waits(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _write(tmp_path / "in", name, [1])
    _write(tmp_path / "late", "a", [1])
    inputs = [ShardedTable(tmp_path / "in"), ShardedTable(tmp_path / "late")]
    report = map_shards(f"{__name__}:Double", inputs, tmp_path / "out")
    assert (report.made, report.failed, list(report.waiting)) == (1, {}, ["b"])
    assert str(tmp_path / "late") in report.waiting["b"]
    _write(tmp_path / "late", "b", [1])
    report = map_shards(f"{__name__}:Double", [inputs[0], ShardedTable(tmp_path / "late")], tmp_path / "out")
    assert (report.made, report.skipped, report.waiting) == (1, 1, {})


def test_map_shards__all_waiting_raises(tmp_path: Path) -> None:
    _write(tmp_path / "in", "a", [1])
    _write(tmp_path / "other", "b", [1])
    with pytest.raises(StepError, match="no shard of that name"):
        map_shards(f"{__name__}:Double", [ShardedTable(tmp_path / n) for n in ("in", "other")], tmp_path / "out")


def test_map_shards__output_of_a_vanished_input_goes(tmp_path: Path) -> None:
    _write(tmp_path / "in", "a", [1])
    gone = _write(tmp_path / "in", "b", [2])
    _double(tmp_path)
    gone.path.unlink()
    assert _double(tmp_path).table.table().to_pydict() == {"n": [2]}


def test_append_lines__after_a_line_that_was_never_finished(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append_lines(path, ['{"n": 1}'])
    path.write_bytes(path.read_bytes() + '{"n": "가'.encode()[:-1])  # cut within a letter
    append_lines(path, ['{"n": 2}', '{"n": 3}'])
    assert read_lines(path) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert path.read_bytes().count(b"\n") == 4
    assert read_lines(tmp_path / "none") == []


def test_append_lines__to_a_file_that_is_replaced_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, turns = tmp_path / "log.jsonl", iter([True])
    append_lines(path, ['{"n": 1}'])

    def wait(*arguments: Any) -> None:
        if next(turns, False):
            (tmp_path / "new").write_text('{"n": 0}\n')
            (tmp_path / "new").rename(path)
        flock(*arguments)

    monkeypatch.setattr("curation.tables.fcntl.flock", wait)
    append_lines(path, ['{"n": 2}'])
    assert read_lines(path) == [{"n": 0}, {"n": 2}]


def test_spans__none_is_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _write(tmp_path, "a", list(range(9 * 256))).open() as file:
        groups = [file.metadata.row_group(number).column(0).total_compressed_size for number in range(9)]
        monkeypatch.setattr("curation.tables._AT_ONCE", 2.5 * max(groups))
        assert list(tables._spans(file.metadata, None)) == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
