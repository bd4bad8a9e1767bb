"""The graph as CI runs it, from the command line: crawl and deduplicate a small drawn world, twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import two_ports

SELECTION = "group:crawl or group:dedup"


def _materialize(tmp_path: Path, port: int, **settings: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("FASHION_", "DAGSTER_"))}
    environment = {
        **own,
        "FASHION_DATA": str(tmp_path / "data"),
        "FASHION_POSTS": "40",
        "FASHION_SANDBOX_PORT": str(port),
        **settings,
    }
    command = ["-m", "dagster", "asset", "materialize", "--select", SELECTION, "-m", "pipelines.definitions"]
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.browser
@pytest.mark.slow
def test_chain__crawls_once_and_keeps_worlds_apart(tmp_path: Path) -> None:
    port = two_ports()
    first = _materialize(tmp_path, port)
    assert first.returncode == 0, first.stderr[-4000:]
    stages = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "data" / "stages").glob("*.json")}
    assert set(stages) == {"kream_posts", "onthelook_posts", "kream_catalog", "image_hashes", "duplicate_clusters"}
    assert all(row["rows_kept"] > 0 for row in stages.values())
    shards = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "data" / "dedup" / "image_hashes").rglob("*.parquet")
    }
    again = _materialize(tmp_path, port)
    assert again.returncode == 0, again.stderr[-4000:]
    assert {path: path.stat().st_mtime_ns for path in shards} == shards  # nothing new, nothing made
    other = _materialize(tmp_path, port, FASHION_SEED="2")
    assert other.returncode != 0
    assert "seed 2" in other.stderr


def test_chain__wrong_setting_stops_before_any_work(tmp_path: Path) -> None:
    result = _materialize(tmp_path, 8600, FASHION_SEED="soon")
    assert result.returncode != 0
    assert "FASHION_SEED" in result.stderr
    assert not (tmp_path / "data").exists()
