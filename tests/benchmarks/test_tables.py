"""What the benchmark of tables measures where it was run before."""

import sys
from typing import Any

import pytest

from benchmarks import tables
from curation.engine import MapReport, map_shards
from curation.places import place


def test_main__a_second_run_at_a_url_makes_its_shards_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(*arguments: Any) -> MapReport:
        report = map_shards(*arguments)
        made.append(report.made)
        return report

    monkeypatch.setattr(tables, "map_shards", counted)
    monkeypatch.setattr(sys, "argv", ["tables", "--shards", "2", "--url", "memory://bench"])
    for _ in range(2):
        tables.main()
    assert made == [2, 0, 0, 0] * 4  # here and there, twice: all to make, then thrice all up to date
    assert place("memory://bench").fs.find("/bench") == []
