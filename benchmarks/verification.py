"""Fit the weights of the verification score, and tell how well it is calibrated on worlds it was not fitted on.

`DATA` are folders that `make demo` left for several seeds. Each world in turn is left out of the fit and judged by the
others' weights, beside the product of the three shares and beside all matches. Weights fitted on all worlds are printed
too: they are what `curation/verification.py` holds.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from assets.scores import judge_of
from curation.proof import TRUTH
from curation.tables import ShardedTable
from curation.verification import LEAST, Floats, evidence
from sandbox.score import Judge, pair_scores

_OPINIONS: Final = (
    "detector_score",
    "colour_agreement",
    "proportion_difference",
    "encoder_similarity",
    "encoder_preference",
)
_WITH_ENCODERS: Final = [0, 1, 2, 3, 4]
_WITHOUT: Final = [0, 1, 2]
_COLUMNS: Final = ("site", "post_id", "product_id", "photo_position", "box", "classifier_probability", *_OPINIONS)
_RIDGE: Final = 1.0  # of standardised evidence: weights stay finite where nothing is wrong
_ROUNDS: Final = 25  # of Newton's method, far more than it needs
_BINS: Final = 15
_THRESHOLDS: Final = (0.8, 0.85, 0.9, 0.93, LEAST, 0.98)


class Matched:
    """The matches of one world that were verified, with what is known of each."""

    def __init__(self, folder: Path) -> None:
        table = ShardedTable(folder / "pairs" / "candidate_pairs").table(_COLUMNS)
        self.judge: Judge = judge_of(folder / TRUTH)
        self.rows: list[dict[str, Any]] = [row for row in table.to_pylist() if row["encoder_similarity"] is not None]
        opinions = [[row[name] for row in self.rows] for name in _OPINIONS]
        self.evidence = evidence(*opinions)
        self.classifier = np.array([row["classifier_probability"] for row in self.rows])
        self.product = self.classifier * np.prod(opinions[:2], axis=0)
        self.right = np.array([self.judge.is_right(row) for row in self.rows])

    def scores(self, chosen: NDArray[np.bool_]) -> dict[str, float]:
        """Precision and recall of some of the matches."""
        return pair_scores(self.judge, [row for row, keep in zip(self.rows, chosen, strict=True) if keep])


def main() -> None:
    """Print weights, calibration and what each threshold keeps; the means over the worlds left out as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verification", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA")
    worlds = {str(folder): Matched(folder) for folder in parser.parse_args().data}
    for title, columns in (("with encoders", _WITH_ENCODERS), ("without", _WITHOUT)):
        weights = _fitted(list(worlds.values()), columns)
        print(f"weights {title}, on all worlds: {[round(float(weight), 3) for weight in weights]}")
    measured = [_left_out(name, worlds) for name in worlds] if len(worlds) > 1 else [{}]
    print(json.dumps({key: round(float(np.mean([row[key] for row in measured])), 3) for key in measured[0]}))


def fit(evidence: Floats, right: NDArray[np.bool_]) -> Floats:
    """Logistic regression with a small ridge, by Newton's method: slopes of the evidence, then the constant."""
    mean, spread = evidence.mean(0), evidence.std(0) + 1e-9
    inputs = np.column_stack([(evidence - mean) / spread, np.ones(len(evidence))])
    ridge = np.diag([_RIDGE] * evidence.shape[1] + [0.0])
    weights = np.zeros(inputs.shape[1])
    for _ in range(_ROUNDS):
        odds = 1 / (1 + np.exp(-inputs @ weights))
        hessian = (inputs * (odds * (1 - odds))[:, None]).T @ inputs + ridge
        weights += np.linalg.solve(hessian, inputs.T @ (right - odds) - ridge @ weights)
    slopes = weights[:-1] / spread
    return np.append(slopes, weights[-1] - slopes @ mean)


def _fitted(worlds: Sequence[Matched], columns: Sequence[int]) -> Floats:
    inputs = np.concatenate([world.evidence[:, columns] for world in worlds])
    return fit(inputs, np.concatenate([world.right for world in worlds]))


def _left_out(name: str, worlds: Mapping[str, Matched]) -> dict[str, float]:
    """Judge one world by the weights of the others."""
    own, others = worlds[name], [world for key, world in worlds.items() if key != name]
    print(f"\n{name}: {len(own.rows)} matches, {own.right.mean():.3f} right\n{'':<28}{'precision':>10}{'recall':>8}")
    _line("all matches", own.scores(np.ones(len(own.rows), bool)))
    found: dict[str, float] = {}
    for title, columns in (("encoders", _WITH_ENCODERS), ("without", _WITHOUT)):
        weights = _fitted(others, columns)
        probability = own.classifier / (1 + np.exp(-own.evidence[:, columns] @ weights[:-1] - weights[-1]))
        for least in _THRESHOLDS:
            kept = probability >= least
            if not kept.any():
                break
            scores = own.scores(kept)
            _line(f"{title}, at least {least:.2f}", scores)
            if title == "encoders":
                as_many = np.argsort(-own.product)[: int(kept.sum())]
                _line("  as many by the product", own.scores(np.isin(np.arange(len(kept)), as_many)))
                if least == LEAST:
                    found |= {f"{key[5:]}_at_{least}": value for key, value in scores.items()}
        error = calibration_error(probability, own.right)
        print(f"{title}: expected calibration error {error:.3f}")
        found[f"calibration_error_{title.replace(' ', '_')}"] = error
    return found


def calibration_error(probability: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error over bins of equal width (Guo et al. 2017)."""
    bins = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    gaps = [abs(float((probability - right)[bins == number].sum())) for number in range(_BINS)]
    return sum(gaps) / len(right)


def _line(title: str, scores: Mapping[str, float]) -> None:
    print(f"{title:<28}{scores['pair_precision']:>10.3f}{scores['pair_recall']:>8.3f}")


if __name__ == "__main__":
    main()
