"""Events of a training, as JSON lines and as curves."""

from models.progress import Progress, read_progress


def test_read_progress__last_line_cut_by_a_kill(tmp_path):
    path = tmp_path / "progress.jsonl"
    with Progress(path) as progress:
        progress("step", step=1, loss=2.0)
        progress("evaluation", step=1, score=0.5)
    path.write_text(path.read_text() + '{"event": "st')
    assert [row["event"] for row in read_progress(path)] == ["step", "evaluation"]
    assert read_progress(path, "step")[0]["loss"] == 2.0
