"""What the detector learns from, told before it learns."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets import label
from assets.io_manager import ReferenceIOManager
from assets.resources import DataFolder, DetectionSources


@pytest.mark.parametrize(("hats", "passed"), [(3, True), (0, False)])
def test_detection_dataset__a_class_without_boxes_stops_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hats: int, passed: bool
) -> None:
    def build(_: Any, out: Path) -> dict[str, Any]:
        out.mkdir(parents=True)
        boxes = {"train": {"top": 5, "hat": hats}, "validation": {"top": 1, "hat": 0}}
        return {"boxes": boxes, "dropped": {}, "sources": {}}

    monkeypatch.setattr(DetectionSources, "build", build)
    monkeypatch.setattr(label, "boxes_sheet_metadata", lambda _: "none")
    data = DataFolder(root=str(tmp_path))
    sources = DetectionSources(folders={}, coco="", classes=7, drawn=1, seed=1, workers=1, commercial_only=False)
    resources = {"data": data, "sources": sources, "io_manager": ReferenceIOManager(data=data)}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([label.detection_dataset], resources=resources, instance=instance, raise_on_error=False)
    (check,) = done.get_asset_check_evaluations()
    assert (check.passed, done.success) == (passed, passed)
    assert check.description == f"classes without boxes: {'none' if passed else ['hat']}"
