"""What doubting labels and calibration are worth: classifiers trained on a catalog in which shops filed some wrongly.

Each share of wrong labels is trained on with and without early-learning regularisation, held-out products included, and
measured on the right labels of another catalog. `--catalog` and `--other` name catalog tables of two runs of the graph;
without them two worlds are drawn.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.pairs import usable_thumbnails, write_catalog
from curation.schemas import CATALOG
from curation.tables import ShardedTable, rows_to_batch, write_shard
from curation.taxonomy import ETC, LABELS
from models.classifier.calibration import calibration, softmax
from models.classifier.data import Thumbnails, read_thumbnails
from models.classifier.evaluate import held_out_logits
from models.classifier.infer import Classifier
from models.presets import preset
from models.run import train
from sandbox.world import World

_ARMS: Final = {"plain": {"early_learning": 0.0}, "doubting": {}}
_PRIOR_THRESHOLD: Final = 0.8
_COLUMNS: Final = ("accuracy", "ece_before", "ece", "accepted", "precision", "accepted_at_0.8", "precision_at_0.8")


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classifier", description=__doc__)
    parser.add_argument("--catalog", type=Path, help="to train on")
    parser.add_argument("--other", type=Path, help="to measure on")
    parser.add_argument("--worlds", type=int, nargs=2, default=[501, 502], help="seeds of the drawn worlds")
    parser.add_argument("--posts", type=int, default=1000, help="of the drawn worlds")
    parser.add_argument("--steps", type=int, default=300, help="of training (default 300)")
    parser.add_argument("--wrong", type=float, nargs="+", default=[0.0, 0.2], help="shares of wrong labels")
    options = parser.parse_args()
    if (options.catalog is None) != (options.other is None):
        parser.error("--catalog and --other: both, or neither of them")
    figures = {}
    with tempfile.TemporaryDirectory(prefix="fashion-classifier-") as name:
        folder = Path(name)
        catalog, other = options.catalog, options.other
        if catalog is None:
            catalog, other = (_draw(seed, options.posts, folder / str(seed)) for seed in options.worlds)
        size = preset("classifier", "tiny")["height"], preset("classifier", "tiny")["width"]
        test, _ = read_thumbnails([other], size)
        print(f"{'wrong labels':<14}{'training':<10}" + "".join(f"{name:>18}" for name in _COLUMNS))
        for share in options.wrong:
            told = _misfile(ShardedTable(catalog), share, folder / f"wrong-{share}")
            for arm, changes in _ARMS.items():
                out = folder / f"{arm}-{share}"
                train("classifier", preset("classifier", "tiny", steps=options.steps, **changes), told, out)
                row = figures[f"{arm}, {share:.0%} wrong"] = _measure(Classifier.load(out), test)
                print(f"{share:<14.0%}{arm:<10}" + "".join(f"{_text(row[name]):>18}" for name in _COLUMNS), flush=True)
    print(json.dumps(figures))


def _draw(seed: int, posts: int, out: Path) -> Path:
    world = World(seed, posts)
    write_catalog(world, usable_thumbnails(world), out)
    return out


def _misfile(catalog: ShardedTable, share: float, out: Path) -> Path:
    """A copy of a catalog in which this share of the products is filed under another category, drawn evenly."""
    draw = np.random.default_rng(0)
    for shard in catalog.shards:
        rows = shard.table().to_pylist()
        for row in rows:
            if draw.random() < share:
                row["category"] = str(draw.choice([name for name in LABELS if name != row["category"]]))
        write_shard(
            out, shard.name, CATALOG, [rows_to_batch(rows, CATALOG)], fingerprint=f"{shard.fingerprint}/{share}"
        )
    return out


def _measure(classifier: Classifier, test: Thumbnails) -> dict[str, Any]:
    logits = held_out_logits(classifier, test)
    before, after = softmax(logits), softmax(logits / classifier.temperature)
    right = after.argmax(1) == test.labels
    garment = after.argmax(1) != LABELS.index(ETC)
    accepted = garment & (after.max(1) >= classifier.threshold)
    at_prior = garment & (before.max(1) >= _PRIOR_THRESHOLD)
    return {
        "accuracy": float(right.mean()),
        "ece_before": calibration(before, test.labels)["ece"],
        "ece": calibration(after, test.labels)["ece"],
        "temperature": classifier.temperature,
        "threshold": classifier.threshold,
        "accepted": float(accepted.mean()),
        "precision": float(right[accepted].mean()) if accepted.any() else None,
        "accepted_at_0.8": float(at_prior.mean()),
        "precision_at_0.8": float(right[at_prior].mean()) if at_prior.any() else None,
    }


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
