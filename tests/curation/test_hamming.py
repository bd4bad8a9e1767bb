"""The compiled join finds exactly the pairs that comparing every hash with every other finds."""

import numpy as np
import numpy.typing as npt
import pytest

from curation import hamming
from curation.hamming import Part, hamming_pairs, plan

Hashes = npt.NDArray[np.uint64]


def random_hashes(count: int, seed: int = 1) -> Hashes:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def clustered_hashes(count: int, seed: int = 2) -> Hashes:
    """Families whose members differ in up to ten bits."""
    rng = np.random.default_rng(seed)
    hashes = random_hashes(count // 20 + 1, seed)[rng.integers(0, count // 20 + 1, count)]
    for _ in range(10):
        hashes ^= np.where(rng.random(count) < 0.6, np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64), 0)
    return hashes


COLLECTIONS = {
    "random": random_hashes(500),
    "clustered": clustered_hashes(900),
    "all equal": np.full(300, 7, np.uint64),
    "two values": np.tile(np.array([0, 2**64 - 1], np.uint64), 150),
    "one": random_hashes(1),
    "none": random_hashes(0),
}


def every_pair(hashes: Hashes, radius: int, against: Hashes | None = None) -> set[tuple[int, int, int]]:
    others = hashes if against is None else against
    bits = np.bitwise_count(hashes[:, None] ^ others[None])
    near = bits <= radius if against is not None else np.triu(bits <= radius, 1)
    return {(int(i), int(j), int(bits[i, j])) for i, j in zip(*np.nonzero(near), strict=True)}


def joined(hashes: Hashes, radius: int, against: Hashes | None = None) -> list[tuple[int, int, int]]:
    chunks = list(hamming_pairs(hashes, radius, against))
    return [row for i, j, bits in chunks for row in zip(i.tolist(), j.tolist(), bits.tolist(), strict=True)]


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("radius", [0, 1, 4, 8, 12, 64])
def test_hamming_pairs__equals_every_pair_compared(name: str, radius: int) -> None:
    found = joined(COLLECTIONS[name], radius)
    assert len(found) == len(set(found))
    assert set(found) == every_pair(COLLECTIONS[name], radius)


@pytest.mark.parametrize("layout", [[(9, 2)] * 3, [(16, 2), (16, 1), (16, 1), (16, 1)], [(13, 1)] * 4 + [(12, 0)]])
def test_hamming_pairs__any_parts_find_the_same(layout: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Small collections would be compared pair by pair: these are the parts that large ones get."""
    hashes = clustered_hashes(2000)
    shifts = np.cumsum([0, *(width for width, _ in layout)])
    parts = [Part(int(shift), *part) for shift, part in zip(shifts, layout, strict=False)]
    monkeypatch.setattr(hamming, "plan", lambda *_: parts)
    found = joined(hashes, 8)
    assert len(found) == len(set(found))
    assert set(found) == every_pair(hashes, 8)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_hamming_pairs__new_against_old(name: str) -> None:
    new, old = COLLECTIONS[name], np.concatenate([COLLECTIONS["clustered"], COLLECTIONS["all equal"]])
    found = joined(new, 8, old)
    assert len(found) == len(set(found))
    assert set(found) == every_pair(new, 8, old)


def test_hamming_pairs__equal_hashes_come_in_bounded_chunks() -> None:
    equal = np.zeros(4000, np.uint64)
    sizes = [len(i) for i, _, _ in hamming_pairs(equal, 8)]
    assert sum(sizes) == 4000 * 3999 // 2
    assert max(sizes) <= hamming.CHUNK


def test_hamming_pairs__radius_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="radius: must be 0 to 64 bits, is 65"):
        list(hamming_pairs(random_hashes(3), 65))


@pytest.mark.parametrize("rows", [100, 10_000, 1_000_000, 10_000_000])
@pytest.mark.parametrize("radius", [0, 8, 12, 20])
def test_plan__obeys_the_pigeonhole_principle(rows: int, radius: int) -> None:
    parts = plan(rows, rows, radius)
    if parts == [Part(0, 0, 0)]:  # every pair is compared
        return
    assert sum(part.tolerance + 1 for part in parts) > radius
    ends = [part.shift + part.width for part in parts]
    assert all(part.shift >= end for part, end in zip(parts[1:], ends, strict=False))
    assert ends[-1] <= 64
