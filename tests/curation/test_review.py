"""Verdicts: keyed by content, never lost, latest word and majority count."""

import resource
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from curation.review import (
    Decision,
    Ruling,
    Rulings,
    Verdict,
    VerdictError,
    VerdictLog,
    draw,
    forget_pictures,
    read_verdicts,
    review_summary,
)

BOX = (0.0, 0.0, 100.0, 100.0)
_WRITER = """
import sys
from pathlib import Path
from curation.review import Decision, Verdict, VerdictLog
log = VerdictLog(Path(sys.argv[1]))
for number in range(50):
    log.append([Verdict(f"photo{number}", (0, 0, 9, 9), "thumbnail", Decision.ACCEPT, sys.argv[2])])
"""


def _said(decision: str, reviewer: str = "ann", at: str = "1", **values: object) -> Verdict:
    return Verdict("photo", BOX, "thumbnail", Decision(decision), reviewer, at=at, **values)  # type: ignore[arg-type]


def _decision(*verdicts: Verdict) -> Decision | None:
    ruling = Rulings(verdicts).of("photo", BOX, "thumbnail")
    assert ruling is not None
    return ruling.decision


def test_verdict_log__round_trip(tmp_path: Path) -> None:
    said = [_said("reject"), _said("accept", "bob", "2", category="bag")]
    assert VerdictLog(tmp_path).append(said) == 2
    assert read_verdicts(tmp_path) == said


def test_verdict_log__several_writers_lose_nothing(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), name]) for name in ("ann", "bob", "eve")]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    seen = {(verdict.reviewer, verdict.anchor_sha256) for verdict in read_verdicts(tmp_path)}
    assert len(seen) == 150


def test_read_verdicts__torn_last_line_is_left_out(tmp_path: Path) -> None:
    VerdictLog(tmp_path).append([_said("reject")])
    path = next(tmp_path.glob("*.jsonl"))
    path.write_text(path.read_text() + '{"anchor_sha256": "pho')
    assert read_verdicts(tmp_path) == [_said("reject")]
    path.write_text('{"decision": "perhaps"}\n')
    with pytest.raises(VerdictError, match=":1 is no verdict"):
        read_verdicts(tmp_path)
    assert read_verdicts(tmp_path / "none") == []


def test_verdict_log__full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    log = VerdictLog(tmp_path)
    log.append([_said("reject")])
    size = next(tmp_path.glob("*.jsonl")).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))  # room for less than a line
    try:
        with pytest.raises(OSError, match="File too large"):
            log.append([_said("accept", "bob")] * 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.append([_said("accept", "eve")])
    assert [verdict.reviewer for verdict in read_verdicts(tmp_path)] == ["ann", "eve"]


def test_forget_pictures__killed_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    said = [Verdict(f"photo{n}", BOX, "thumbnail", Decision.REJECT, "ann" * n, at=str(n)) for n in range(1, 5)]
    log = VerdictLog(tmp_path)
    log.append(said)

    with patch("curation.review.os.fsync", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        forget_pictures(tmp_path, {"photo2"})
    assert read_verdicts(tmp_path) == said
    assert list(forget_pictures(tmp_path, {"photo2"}).values()) == [1]
    log.append([_said("accept", at="9")])
    assert read_verdicts(tmp_path) == [said[0], *said[2:], _said("accept", at="9")]


def test_verdict__category_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match="category: must be one of"):
        _said("accept", category="sock")


def test_rulings__latest_word_of_each_reviewer_counts() -> None:
    assert _decision(_said("reject"), _said("accept", at="2")) is Decision.ACCEPT
    assert Rulings([_said("reject"), _said("withdraw", at="2")]).of("photo", BOX, "thumbnail") is None
    assert _decision(_said("unsure")) is None


def test_rulings__majority_decides_and_a_tie_rejects() -> None:
    assert _decision(_said("accept"), _said("accept", "bob"), _said("reject", "eve")) is Decision.ACCEPT
    assert _decision(_said("accept"), _said("reject", "bob")) is Decision.REJECT


def test_rulings__only_who_accepts_corrects_the_category() -> None:
    said = [_said("accept"), _said("accept", "bob"), _said("reject", "cid", "2", category="bag")]
    assert Rulings(said).of("photo", BOX, "thumbnail") == Ruling(Decision.ACCEPT, None)


def test_rulings__a_box_that_moved_a_little_is_the_same_pair() -> None:
    rulings = Rulings([_said("reject")])
    assert rulings.of("photo", (2, 0, 104, 98), "thumbnail") == Ruling(Decision.REJECT, None)
    assert rulings.of("photo", (60, 0, 160, 100), "thumbnail") is None
    assert rulings.of("photo", BOX, "another") is None


def test_review_summary__estimates_precision_from_what_was_drawn_at_random() -> None:
    rows = [{"anchor_sha256": str(number), "positive_sha256": "p"} for number in range(100)]
    order = sorted(rows, key=lambda row: draw(row["anchor_sha256"], row["positive_sha256"]))
    said = {row["anchor_sha256"]: Ruling(Decision.ACCEPT, None) for row in order[:11]}
    said[order[3]["anchor_sha256"]] = Ruling(Decision.REJECT, None)
    said[order[5]["anchor_sha256"]] = Ruling(None, None)  # unsure: looked at, no vote
    said |= {row["anchor_sha256"]: Ruling(Decision.REJECT, None) for row in order[50:54]}  # they were doubtful
    summary = review_summary(rows, [said.get(row["anchor_sha256"]) for row in rows])
    assert (summary["reviewed"], summary["rejected"], summary["random_sample"]) == (14, 5, 10)
    assert summary["precision_before"] == pytest.approx(0.9)
    assert summary["precision_after"] == pytest.approx(1 - 5 / 95)  # ten wrong ones expected, five gone
    assert summary["low"] == pytest.approx(0.596, abs=1e-3)  # Wilson's interval of 9 of 10


def test_review_summary__doubtful_pairs_alone_estimate_nothing() -> None:
    rows = [{"anchor_sha256": str(number), "positive_sha256": "p"} for number in range(100)]
    last = max(rows, key=lambda row: draw(row["anchor_sha256"], row["positive_sha256"]))
    rulings = [Ruling(Decision.REJECT, None) if row is last else None for row in rows]
    assert review_summary(rows, rulings) == {"reviewed": 1, "rejected": 1}
