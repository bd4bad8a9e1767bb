"""A collection that grows, changes and shrinks block by block has the verdicts of one clustered at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.dedup import DuplicateIndex, Update
from curation.schemas import HASHES, LAYOUT_BYTES
from tests.curation.builders import write_hashes

Row = dict[str, Any]
Blocks = Mapping[str, Sequence[Row]]


def hash_row(sha256: str, phash: int, **values: Any) -> Row:
    row = dict.fromkeys(HASHES.names)
    plain = {"role": "photo", "mode": "exact", "dhash": 0, "colour": bytes([128]) * LAYOUT_BYTES, "contrast": 50.0}
    place = {"site": "kream", "post_id": 1, "position": 0}
    size = {"sharpness": 9.0, "blank": False, "width": 100, "height": 100}
    return row | plain | place | size | {"sha256": sha256, "phash": phash} | values


def updated(folder: Path, blocks: Blocks, **options: Any) -> Update:
    """Make the folder hold these blocks and no others, and update it."""
    index = DuplicateIndex(folder, **options)
    for shard in index.hashes.shards:
        if shard.name not in blocks:
            shard.path.unlink()
    for name, rows in blocks.items():
        write_hashes(folder, name, rows)
    return index.update()


def state(folder: Path) -> tuple[list[Row], list[Row]]:
    index = DuplicateIndex(folder)
    matches = sorted(index.matches.table().to_pylist(), key=lambda row: (row["role"], row["a_sha256"], row["b_sha256"]))
    rows = [{"shard": shard.name, **row} for shard in index.clusters.shards for row in shard.table().to_pylist()]
    return rows, matches


def random_blocks(seed: int) -> dict[str, list[Row]]:
    """Five blocks of pictures in families that overlap, some seen in several blocks, some blank, some crowded."""
    rng = np.random.default_rng(seed)
    seeds = [int(value) for value in rng.integers(0, 2**63, 3)]
    pictures = []
    for number in range(40):
        flipped = sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 9), replace=False))
        role = ("photo", "product", "catalog")[rng.integers(0, 3)]
        phash = 77 if number < 6 else seeds[rng.integers(0, 3)] ^ flipped
        size = {"width": int(rng.choice([100, 110, 200])), "blank": bool(rng.random() < 0.1)}
        pictures.append(hash_row(f"{number:04d}", phash, role="photo" if number < 6 else role, **size))
    chosen = {f"kream/{n:06d}": rng.choice(len(pictures), 12, replace=False) for n in range(5)}
    return {
        name: [pictures[index] | {"post_id": int(rng.integers(1, 99))} for index in indices]
        for name, indices in chosen.items()
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=4))
def test_update__equals_from_scratch_after_any_history(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: list[set[int]]
) -> None:
    blocks = random_blocks(seed)
    names = list(blocks)
    grown, scratch = tmp_path_factory.mktemp("grown"), tmp_path_factory.mktemp("scratch")
    for step in [*steps, {0, 1, 2, 4}]:
        updated(grown, {names[n]: blocks[names[n]] for n in sorted(step)}, most_alike=3)
    final = {names[n]: blocks[names[n]] for n in (0, 1, 2, 4)}
    done = updated(scratch, final, most_alike=3)
    assert state(grown) == state(scratch)
    assert updated(grown, final, most_alike=3).counts == done.counts


def test_update__nothing_new_touches_nothing(tmp_path: Path) -> None:
    blocks = random_blocks(3)
    first = updated(tmp_path, blocks)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("duplicate_*/**/*.parquet")}
    again = DuplicateIndex(tmp_path).update()
    assert (again.made, again.kept, again.joined, again.counts) == (0, 5, 0, first.counts)
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_update__new_block_is_joined_alone_and_writes_what_it_changes(tmp_path: Path) -> None:
    a = [hash_row("a", 0b1, post_id=9), hash_row("b", 2**40 - 1, post_id=8)]
    blocks = {"kream/0": a, "kream/1": [hash_row("c", 2**64 - 2**44, post_id=7)]}
    updated(tmp_path, blocks)
    more = updated(tmp_path, {**blocks, "kream/2": [hash_row("d", 0b11, post_id=3)]})
    assert (more.joined, more.made, more.kept) == (1, 2, 1)  # the new block, and that of `a`: `d` is earlier
    verdicts = {row["sha256"]: row for row in state(tmp_path)[0]}
    assert verdicts["a"]["cluster_id"] == "d"
    assert (verdicts["a"]["evidence"], verdicts["a"]["kept_because"]) == ("near_duplicate", "first")
    assert (verdicts["a"]["phash_distance"], verdicts["d"]["evidence"]) == (1, "kept")
    assert verdicts["b"]["evidence"] == "kept"


def test_update__copy_of_what_is_kept_leaves_its_shard_alone(tmp_path: Path) -> None:
    blocks = {"kream/0": [hash_row("a", 0b1, post_id=3)], "kream/1": [hash_row("b", 2**40 - 1, post_id=8)]}
    updated(tmp_path, blocks)
    more = updated(tmp_path, {**blocks, "kream/2": [hash_row("c", 0b11, post_id=9)]})
    assert (more.joined, more.made, more.kept) == (1, 1, 2)
    verdicts = {row["sha256"]: (row["cluster_id"], row["evidence"]) for row in state(tmp_path)[0]}
    assert verdicts == {"a": ("a", "kept"), "b": ("b", "kept"), "c": ("a", "near_duplicate")}


def test_update__same_picture_in_two_blocks_has_one_verdict(tmp_path: Path) -> None:
    shared = hash_row("a", 5)
    done = updated(tmp_path, {"kream/0": [shared], "kream/1": [shared, hash_row("b", 5, width=200)]})
    assert done.counts == {"near_duplicate": 1, "kept": 1, "largest_cluster": 2}
    assert [row["cluster_id"] for row in state(tmp_path)[0]] == ["b", "b", "b"]


def test_update__crowded_and_blank_hashes_are_rejected(tmp_path: Path) -> None:
    alike = [hash_row(f"{n:02d}", 5) for n in range(6)]
    near = hash_row("near", 4)
    blank = [hash_row("w", 5, blank=True), hash_row("v", 5, blank=True)]
    done = updated(tmp_path, {"kream/0": [*alike, near, *blank]}, most_alike=4)
    assert done.counts == {"blank": 2, "crowded": 6, "kept": 1, "largest_cluster": 1}
    fewer = updated(tmp_path, {"kream/0": [*alike[:5], near, *blank]}, most_alike=4)
    assert fewer.counts == {"blank": 2, "near_duplicate": 5, "kept": 1, "largest_cluster": 6}


def test_update__photos_and_products_are_never_compared(tmp_path: Path) -> None:
    done = updated(tmp_path, {"kream/0": [hash_row("a", 5), hash_row("b", 5, role="product")]})
    assert done.counts == {"kept": 2, "largest_cluster": 1}


def test_update__other_hashes_of_the_same_pictures_are_joined_anew(tmp_path: Path) -> None:
    updated(tmp_path, {"kream/0": [hash_row("a", 5), hash_row("b", 5)]})
    done = updated(tmp_path, {"kream/0": [hash_row("a", 5, mode="fast"), hash_row("b", 2**50 - 1, mode="fast")]})
    assert (done.joined, done.counts) == (2, {"kept": 2, "largest_cluster": 1})


def test_update__stopped_while_writing_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = random_blocks(5)
    with monkeypatch.context() as broken:
        broken.setattr(DuplicateIndex, "_write_verdicts", _no_space)
        with pytest.raises(OSError, match="no space"):
            updated(tmp_path / "stopped", blocks)
    updated(tmp_path / "stopped", blocks)
    updated(tmp_path / "scratch", blocks)
    assert state(tmp_path / "stopped") == state(tmp_path / "scratch")


def _no_space(*_: Any) -> int:
    raise OSError("no space")


def test_remove__leaves_nothing_and_frees_the_others(tmp_path: Path) -> None:
    chain = {"a": (1 << 8) - 1, "b": 0, "c": ((1 << 8) - 1) << 8}
    rows = [hash_row(name, value, post_id=n) for n, (name, value) in enumerate(chain.items())]
    updated(tmp_path, {"kream/0": rows[:1], "kream/1": rows[1:]})
    index = DuplicateIndex(tmp_path)
    assert index.remove({"a", "no such picture"}) == 1
    verdicts, matches = state(tmp_path)
    assert {row["sha256"]: row["cluster_id"] for row in verdicts} == {"b": "b", "c": "b"}
    assert [(row["a_sha256"], row["b_sha256"]) for row in matches] == [("b", "c")]
    assert index.hashes.rows == 2
    assert index.hashes.shards[0].counts == {"removed": 1}
