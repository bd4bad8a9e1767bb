"""Review in Label Studio: tasks out, annotations back, and the next version goes without what was rejected."""

import base64
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curation.__main__ import main
from curation.doubts import make_doubts
from curation.errors import CurationError
from curation.images import decode
from curation.label_studio import ReviewError, read_annotations, write_tasks
from curation.review import Decision, read_verdicts
from curation.tables import ShardedTable
from tests.curation.data_folder import make_data


def _annotated(task: dict[str, Any], verdict: str, category: str = "", user: Any = 3) -> dict[str, Any]:
    """A task as Label Studio exports it once somebody has looked at it."""
    result = [{"from_name": "verdict", "to_name": "anchor", "type": "choices", "value": {"choices": [verdict]}}]
    if category:
        result.append({**result[0], "from_name": "category", "value": {"choices": [category]}})
    annotation = {"result": result, "completed_by": user, "was_cancelled": False, "updated_at": "2026-01-02T03:04:05Z"}
    return {"id": 1, "data": task["data"], "annotations": [annotation], "predictions": task["predictions"]}


def _tasks(data: Path, out: Path, **counts: int) -> list[dict[str, Any]]:
    write_tasks(data, out, counts.get("doubtful", 100), counts.get("random", 0))
    return json.loads((out / "tasks.json").read_text())


def test_write_tasks__most_doubtful_first_with_pictures_and_predictions(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    tasks = _tasks(data, tmp_path / "out", doubtful=5, random=3)
    noise = [task["data"]["noise"] for task in tasks]
    assert 5 <= len(tasks) <= 8
    assert noise == sorted(noise, reverse=True)
    kind, _, picture = tasks[0]["data"]["anchor"].partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        assert max(image.size) <= 360
    interface = ET.fromstring((tmp_path / "out" / "interface.xml").read_text())  # noqa: S314 - our own file
    names = {tag.get("name") for tag in interface.iter() if tag.get("name")}
    assert {result["from_name"] for result in tasks[0]["predictions"][0]["result"]} < names
    assert {tag.get("value") for tag in interface.iter("Choice")} >= {decision.value for decision in Decision} - {
        "withdraw"
    }


def test_write_tasks__decodes_no_other_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    make_doubts(data, data / "pair_dataset")
    decoded: list[bytes] = []

    def counted(picture: bytes) -> Image.Image:
        decoded.append(picture)
        return decode(picture)

    monkeypatch.setattr("curation.pair_rows.decode", counted)
    assert len(_tasks(data, tmp_path / "out", doubtful=2)) == 2
    assert len(decoded) == 4


def test_read_annotations__verdicts_with_reviewer_and_correction(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    first, second, third, *_ = _tasks(data, tmp_path / "out")
    skipped = {**_annotated(third, "accept"), "annotations": []}
    export = [_annotated(first, "reject", "bag"), _annotated(second, "accept", "bag", {"id": 1, "email": "a@b.test"})]
    export.append(_annotated(third, "accept"))
    export[-1]["annotations"][0]["was_cancelled"] = True
    export.append(skipped)
    (tmp_path / "export.json").write_text(json.dumps(export))
    rejected, corrected = read_annotations(tmp_path / "export.json")
    assert (rejected.decision, rejected.reviewer, rejected.category) == (Decision.REJECT, "label-studio/3", None)
    assert (corrected.decision, corrected.reviewer, corrected.category) == (
        Decision.ACCEPT,
        "label-studio/a@b.test",
        "bag",
    )
    assert rejected.at == "2026-01-02T03:04:05.000000+00:00"


@pytest.mark.parametrize("text", ["not JSON", "[1]", '[{"data": {}}]', '{"a": 1}'])
def test_read_annotations__another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(ReviewError, match="is no JSON export of these tasks"):
        read_annotations(tmp_path / "export.json")


def test_review__round_trip_makes_the_next_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    assert main(["review-export", str(tmp_path / "out"), "--data", str(data), "--doubtful", "4", "--random", "6"]) == 0
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    export = [_annotated(task, "reject" if place < 2 else "accept") for place, task in enumerate(tasks)]
    (tmp_path / "export.json").write_text(json.dumps(export))
    capsys.readouterr()
    for new in (len(tasks), 0):  # the same file again adds nothing
        assert main(["review-import", str(tmp_path / "export.json"), "--data", str(data)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["new_verdicts"], told["version"], told["review"]["rejected"]) == (new, "0002", 2)
    assert told["review"]["random_sample"] >= 6
    assert told["review"]["precision_after"] >= told["review"]["precision_before"]
    gone = {task["data"]["post_url"] for task in tasks[:2]}
    assert not gone & set(ShardedTable(data / "pair_dataset").table(["post_url"])["post_url"].to_pylist())
    assert len(read_verdicts(data / "review" / "verdicts")) == len(tasks)
    assert not {task["data"]["post_url"] for task in _tasks(data, tmp_path / "more")} & {
        task["data"]["post_url"] for task in tasks
    }


def test_review__accepting_alone_is_told_by_a_new_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_data(tmp_path / "data", range(1, 20))
    export = [_annotated(task, "accept") for task in _tasks(data, tmp_path / "out", doubtful=0, random=5)]
    (tmp_path / "export.json").write_text(json.dumps(export))
    assert main(["review-import", str(tmp_path / "export.json"), "--data", str(data)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["review"]["random_sample"], told["review"]["precision_before"]) == ("0002", 5, 1.0)


@pytest.mark.parametrize(
    ("doubtful", "random", "message"),
    [
        (-1, 5, "doubtful: must be at least 0, got -1"),
        (5, -1, "random: must be at least 0, got -1"),
        (0, 0, "one of them must be at least 1"),
    ],
)
def test_write_tasks__counts_of_no_pairs(tmp_path: Path, doubtful: int, random: int, message: str) -> None:
    data = make_data(tmp_path / "data", range(1, 4))
    with pytest.raises(CurationError, match=message):
        write_tasks(data, tmp_path / "out", doubtful, random)


def test_write_tasks__nothing_left_is_said(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", range(1, 4))
    export = [_annotated(task, "accept") for task in _tasks(data, tmp_path / "out")]
    (tmp_path / "export.json").write_text(json.dumps(export))
    assert main(["review-import", str(tmp_path / "export.json"), "--data", str(data)]) == 0
    with pytest.raises(CurationError, match="every one of 3 pairs has been looked at"):
        write_tasks(data, tmp_path / "out", 5, 5)
