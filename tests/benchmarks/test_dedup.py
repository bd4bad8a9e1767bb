"""What the benchmark of joins counts as a join."""

import sys

import pytest

from benchmarks import dedup


def test_main__what_a_way_does_once_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def way(hashes: dedup.Hashes, _radius: int) -> dedup.Ask:
        asked.append(len(hashes))
        return lambda most: most

    monkeypatch.setattr(dedup, "_WAYS", dict.fromkeys(("this", "numpy"), ("numpy", way)))
    monkeypatch.setattr(sys, "argv", ["dedup", "--largest", "10000"])
    dedup.main()
    assert asked == [dedup._WARM, 10_000] * 2  # each way imports and compiles before its own clock starts
