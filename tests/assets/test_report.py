"""The report of a run: what its stages noted."""

import json
from pathlib import Path

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager, adopt
from assets.report import run_report
from assets.resources import DataFolder
from curation.tables import write_json

SCORES = ("detector_score", "classifier_score", "pair_score", "encoder_score")


@pytest.mark.parametrize(
    ("noted", "peak"),
    [
        ([{"peak_memory_gib": 1.5}, {"peak_memory_gib": 2.5}], 2.5),
        ([{"peak_memory_gib": 1.5}, {"peak_rss_gib": 2.5}], 1.5),
        ([{"peak_rss_gib": 2.5}], None),
    ],
)
def test_run_report__of_stages_that_an_older_release_made(
    tmp_path: Path, noted: list[dict[str, float]], peak: float | None
) -> None:
    for name in SCORES:
        write_json(tmp_path / name / "manifest.json", {name: 0.5})
        adopt(tmp_path, name, tmp_path / name)
    for number, row in enumerate(noted):
        record = {"name": str(number), "seconds": 1.0, "finished": "2026-01-01T00:00:00+00:00"}
        write_json(tmp_path / "stages" / f"{number}.json", {**record, **row})
    (tmp_path / "report").mkdir()
    data = DataFolder(root=str(tmp_path))
    resources = {"data": data, "io_manager": ReferenceIOManager(data=data)}
    others = (*SCORES, "search_report", "encoder_report")
    with dg.DagsterInstance.ephemeral() as instance:
        assets = [run_report, *map(dg.AssetSpec, others)]
        assert dg.materialize(assets, resources=resources, instance=instance).success
    metrics = json.loads((tmp_path / "report.json").read_text())["metrics"]
    assert metrics.pop("peak_memory_gib", None) == peak
    assert metrics == dict.fromkeys(SCORES, 0.5)
