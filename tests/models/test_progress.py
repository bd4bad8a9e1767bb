"""Events of a training, as JSON lines and as curves."""

from contextlib import suppress
from pathlib import Path

import pytest

from models.errors import TrainingError
from models.progress import Progress, read_progress

FULL = Path("/dev/full")  # every write to it finds the disk full


def test_read_progress__last_line_cut_by_a_kill(tmp_path):
    path = tmp_path / "progress.jsonl"
    with Progress(path) as progress:
        progress("step", step=1, loss=2.0)
        progress("evaluation", step=1, score=0.5)
    path.write_text(path.read_text() + '{"event": "st')
    assert [row["event"] for row in read_progress(path)] == ["step", "evaluation"]
    assert read_progress(path, "step")[0]["loss"] == 2.0


def test_progress__goes_on_after_a_line_that_was_cut(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text('{"event": "start", "step": 0}\n{"event": "step", "step": 9}\n{"event": "step", "st')
    with Progress(path) as progress:
        progress("start", step=5)
        progress("step", step=6)
    assert [(row["event"], row["step"]) for row in read_progress(path)] == [("start", 0), ("start", 5), ("step", 6)]


def test_progress__another_training_leaves_a_shared_file_alone(tmp_path):
    """As a version shares it with its candidate, which is then trained anew."""
    for path, step in (("first", 1), ("second", 2)):
        with Progress(tmp_path / "progress.jsonl") as progress:
            progress("start", step=0)
            progress("step", step=step)
        (tmp_path / path).hardlink_to(tmp_path / "progress.jsonl")
    assert [read_progress(tmp_path / path, "step")[0]["step"] for path in ("first", "second")] == [1, 2]


def test_progress__full_disk_is_a_failed_training(tmp_path):
    with Progress(tmp_path / "progress.jsonl") as progress:
        progress("step", step=1)
        progress._file.close()
        progress._file = FULL.open("w", buffering=1)
        with pytest.raises(TrainingError, match=r"cannot write progress to .*No space left"):
            progress("step", step=2)
        with suppress(OSError):
            progress._file.close()
        progress._file = None


@pytest.mark.parametrize(
    ("ended_by", "told"), [(TrainingError("loss is nan"), "loss is nan"), (None, "No space left")], ids=["error", "end"]
)
def test_progress__full_disk_at_the_end_is_told_unless_an_error_ended_it(tmp_path, ended_by, told):
    def train():
        with Progress(tmp_path / "progress.jsonl") as progress:
            progress("step", step=1)
            progress._file.close()
            progress._file = FULL.open("w")
            progress._file.write("what closing it cannot write")
            if ended_by:
                raise ended_by

    with pytest.raises((TrainingError, OSError), match=told):
        train()
