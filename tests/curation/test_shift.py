"""What is new against what was accepted before: collapse, shift, too little to tell, and until when it is refused."""

import math
from pathlib import Path

import pyarrow as pa
import pytest

from curation.shift import Shift, judge
from curation.tables import ShardedTable, write_shard

SCHEMA = pa.schema([("category", pa.string())])
EVEN = {"top": 100, "bottom": 100, "shoes": 100, "bag": 100}


def write(root: Path, name: str, counts: dict[str, int], mark: str = "1") -> None:
    rows = pa.table({"category": [category for category, count in counts.items() for _ in range(count)]}, SCHEMA)
    write_shard(root / "table", name, SCHEMA, [rows], fingerprint=f"{name}/{mark}", counts={})


def look(root: Path, *, accept: bool = False) -> Shift:
    table = ShardedTable(root / "table")
    return judge(table, root / "seen.json", ["category"], lambda rows: rows["category"].to_pylist(), accept=accept)


def test_problem__a_class_too_rare_to_be_missed() -> None:
    rare, common = ({"top": 980 - count, "bag": count} for count in (40, 80))
    assert [Shift(before, {"top": 400}).collapsed for before in (rare, common)] == [[], ["bag"]]  # 16 and 33 expected


def test_judge__the_first_is_the_baseline_and_the_same_again_is_nothing_new(tmp_path: Path) -> None:
    write(tmp_path, "kream/0", EVEN)
    assert look(tmp_path).problem is None
    assert look(tmp_path).rows == 0


def test_judge__a_collapsed_class_stays_refused_until_it_is_made_anew(tmp_path: Path) -> None:
    write(tmp_path, "kream/0", EVEN)
    look(tmp_path)
    write(tmp_path, "kream/1", EVEN | {"shoes": 3})
    for _ in range(2):  # a second run finds nothing new to make, and must not pass for it
        shift = look(tmp_path)
        assert shift.collapsed == ["shoes"]
        assert shift.problem == "hardly any shoes (3 of 303 rows) among what is new"
    write(tmp_path, "kream/2", EVEN)
    assert look(tmp_path).rows == 703  # judged together with what did not pass
    write(tmp_path, "kream/1", EVEN, mark="2")
    assert look(tmp_path).problem is None
    assert look(tmp_path).rows == 0


def test_judge__a_shifted_mix_is_accepted_by_a_person(tmp_path: Path) -> None:
    write(tmp_path, "kream/0", EVEN)
    look(tmp_path)
    summer = {"top": 250, "bottom": 40, "shoes": 60, "bag": 50}
    write(tmp_path, "kream/1", summer)
    assert look(tmp_path).problem == "the mix of categories has shifted: population stability index 0.61"
    look(tmp_path, accept=True)
    assert look(tmp_path).rows == 0


def test_judge__few_rows_wait_until_there_are_enough(tmp_path: Path) -> None:
    write(tmp_path, "kream/0", EVEN)
    look(tmp_path)
    for night in range(1, 4):
        write(tmp_path, f"kream/{night}", {"top": 90})
        shift = look(tmp_path)
        assert (shift.rows, shift.judged) == (90 * night, night == 3)
    assert shift.collapsed == ["bag", "bottom", "shoes"]


@pytest.mark.parametrize("rows", [200, 2_000])
def test_shift__another_sample_of_the_same_mix_passes(rows: int) -> None:
    noise = {"top": rows // 4 + 9, "bottom": rows // 4 - 12, "shoes": rows // 4 + 8, "bag": rows // 4 - 5}
    assert Shift(EVEN, noise).problem is None


def test_shift__psi_by_hand() -> None:
    # shares 0.5 and 0.5 become 0.75 and 0.25: 0.25·ln 1.5 − 0.25·ln 0.5
    shift = Shift({"a": 1000, "b": 1000}, {"a": 1500, "b": 500})
    assert shift.psi == pytest.approx(0.25 * math.log(3), abs=2e-3)
