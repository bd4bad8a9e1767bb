"""What review is worth: how many wrong pairs the first look finds, and precision before and after, by a world's truth.

Takes the data folder of a finished `make demo`. A reviewer who knows the truth answers the exported tasks, and the
answers come back in, all on a dataset of its own. Beside the noise score: verification score, detector's
score, chance, and the trained encoder.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from curation.dataset import write_pair_dataset
from curation.dataset_plan import DatasetRules, photo_ties
from curation.doubts import make_doubts, pair_key
from curation.label_studio import read_annotations, write_tasks
from curation.pair_rows import read_pairs
from curation.proof import TRUTH
from curation.republish import republish
from curation.review import VerdictLog
from curation.tables import ShardedTable
from sandbox.score import Judge

_SHARES: Final = (0.05, 0.1, 0.2, 0.3)
_BATCH: Final = 64  # pairs embedded at once


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data folder of a finished demo")
    parser.add_argument("--share", type=float, default=0.1, help="of the pairs looked at for doubt (default 0.1)")
    parser.add_argument("--random", type=int, default=200, help="pairs drawn at random besides (default 200)")
    options = parser.parse_args()
    truth = sorted((options.data / TRUTH).glob("*.parquet"))
    judge = Judge({path.stem: pq.read_table(path) for path in truth})
    with tempfile.TemporaryDirectory(prefix="fashion-review-") as folder:
        data = _copy(options.data, Path(folder))
        found = _wrong_found(data, judge, options.data / "models" / "encoder")
        loop = _loop(data, judge, options.share, options.random)
    print(json.dumps({"wrong_found": found, **loop}))


def _copy(source: Path, data: Path) -> Path:
    """A data folder with the tables of another, by link, and a dataset of its own."""
    for name in ("dedup", "pairs"):
        (data / name).symlink_to((source / name).resolve())
    dedup = data / "dedup"
    hashes, clusters = (ShardedTable(dedup / name) for name in ("image_hashes", "duplicate_clusters"))
    candidates = ShardedTable(data / "pairs" / "candidate_pairs")
    write_pair_dataset(candidates, data / "pair_dataset", DatasetRules(), lambda: photo_ties(hashes, clusters))
    return data


def _wrong_found(data: Path, judge: Judge, encoder: Path) -> dict[str, dict[str, float]]:
    """Share of the wrong pairs among the first so many of each order."""
    facts = [pair.facts for pair in read_pairs(data / "pair_dataset")]
    wrong = np.array([not judge.is_right(row) for row in facts])
    if not wrong.any():
        raise SystemExit(f"{data}: all {len(facts)} pairs are right, so there is nothing to find")
    doubts = make_doubts(data, (data / "pair_dataset").resolve()).to_pylist()
    noise_of = {pair_key(row): row["noise"] for row in doubts}
    noise = np.array([noise_of[pair_key(row)] for row in facts])
    ways = {
        "noise": noise,
        "verification": np.array([-row["verification_score"] for row in facts]),
        "detector": np.array([-row["detector_score"] for row in facts]),
        "chance": np.random.default_rng(0).random(len(facts)),
    }
    if encoder.is_dir():  # it has learned from most of these pairs
        similarity = _similarity(data, encoder)
        ways |= {"encoder": -similarity, "noise × encoder": -(1 - noise) * (1 + similarity) / 2}
    print(f"{len(facts)} pairs, {wrong.sum()} wrong ({wrong.mean():.1%}); share of the wrong found in the first")
    print(f"{'':<18}" + "".join(f"{share:>8.0%}" for share in _SHARES))
    found = {}
    for name, doubt in ways.items():
        ordered = wrong[np.argsort(-doubt, kind="stable")]
        shares = [ordered[: round(share * len(facts))].sum() / wrong.sum() for share in _SHARES]
        print(f"{name:<18}" + "".join(f"{share:>8.2f}" for share in shares))
        found[name] = {f"{of:.0%}": round(float(share), 3) for of, share in zip(_SHARES, shares, strict=True)}
    return found


def _similarity(data: Path, encoder: Path) -> npt.NDArray[np.float32]:
    """Cosine of each pair's vectors by a trained encoder, -1 to 1."""
    from models.encoder.infer import Encoder

    model, found = Encoder.load(encoder), []
    pairs = read_pairs(data / "pair_dataset")
    while batch := list(islice(pairs, _BATCH)):
        anchors, positives = (model.embed([getattr(pair, name) for pair in batch]) for name in ("anchor", "positive"))
        found.append((anchors * positives).sum(axis=1))
    return np.concatenate(found)


def _loop(data: Path, judge: Judge, share: float, random: int) -> dict[str, float]:
    """Export, answer, import, publish; true precision before and after, and what the summary estimates."""
    before, pairs = _precision(data, judge)
    write_tasks(data, data / "tasks", round(share * pairs), random)
    rows = {_key(pair.facts): pair.facts for pair in read_pairs(data / "pair_dataset")}
    tasks = json.loads((data / "tasks" / "tasks.json").read_text())
    answered = [_answered(task["data"], right=judge.is_right(rows[_key(task["data"])])) for task in tasks]
    (data / "export.json").write_text(json.dumps(answered))
    VerdictLog(data / "review" / "verdicts").append(read_annotations(data / "export.json"))
    review = republish(data)["review"]
    after, _ = _precision(data, judge)
    print(f"looked at {len(tasks)}, rejected {review['rejected']}; precision, true and estimated:")
    print(f"before {before:.3f}   {review['precision_before']:.3f} ({review['low']:.3f}-{review['high']:.3f})")
    print(f"after  {after:.3f}   {review['precision_after']:.3f}")
    figures = {"looked_at": len(tasks), "rejected": review["rejected"], "before": before, "after": after}
    figures |= {"estimated_before": review["precision_before"], "estimated_after": review["precision_after"]}
    return {name: round(value, 4) for name, value in figures.items()}


def _answered(data: Mapping[str, Any], *, right: bool) -> dict[str, Any]:
    choice = {"from_name": "verdict", "value": {"choices": ["accept" if right else "reject"]}}
    return {
        "data": data,
        "annotations": [{"result": [choice], "completed_by": 1, "updated_at": "2026-01-01T00:00:00Z"}],
    }


def _precision(data: Path, judge: Judge) -> tuple[float, int]:
    columns = ["site", "post_id", "photo_position", "product_id", "box"]
    rows = ShardedTable((data / "pair_dataset").resolve()).table(columns).to_pylist()
    return sum(map(judge.is_right, rows)) / len(rows), len(rows)


def _key(row: Mapping[str, Any]) -> tuple[str, str, tuple[float, ...]]:
    return row["anchor_sha256"], row["positive_sha256"], tuple(row["box"])


if __name__ == "__main__":
    main()
