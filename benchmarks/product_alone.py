"""What a detector finds on products photographed alone, and what each way of teaching it that costs on people.

Trains the tiny detector once for each way, with equal seeds and steps, and measures it on people and on products that
no training has seen: drawn ones, on a shop's plain ground and on a scene. With `--real`, and `FASHION_REAL_DATA`
naming a folder with `street/` and `thumbnails/`, on real photos instead, on whose products nobody drew boxes: there
the box is the whole picture.

The best way is chosen on other people and products than it is measured on: of several, one looks best by luck.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from curation.images import decode
from curation.taxonomy import CATEGORIES
from models.boxes import Detection
from models.detector.augment import Sample
from models.detector.categories import CLASSES
from models.detector.data import DetectionPictures
from models.detector.dataset import build_detection_dataset
from models.detector.evaluate import coco_metrics
from models.detector.infer import Detector
from models.detector.sources import source
from models.presets import preset
from models.run import train
from sandbox.drawing.backdrop import backdrop
from sandbox.drawing.thumbnail import draw_side, draw_thumbnail, lay_flat
from sandbox.products import draw_style
from sandbox.seeds import stream

Tests = Mapping[str, Sequence[Sample]]
Looks = dict[str, list[dict[str, float]]]
"""Way → AP50 on each test, of each training."""
WAYS: Final[Mapping[str, Mapping[str, float]]] = {
    "people only": {},
    "close-ups": {"close_up": 0.25},
    "pasted": {"paste": 0.25},
    "alone": {"alone": 0.2},
    "alone, half as often": {"alone": 0.1},
    "alone and pasted": {"alone": 0.15, "paste": 0.15},
    "all three": {"alone": 0.1, "paste": 0.15, "close_up": 0.1},
}
_PER_CLASS: Final = 40  # thumbnails to learn from
_TESTED: Final = 25  # products of each class to measure on, each on a plain ground and on a scene
_PEOPLE: Final = 300  # pictures of people to measure on
_SIDE: Final = 300  # px: shorter side of a drawn product
_GROUND: Final = (244, 244, 244)
_THRESHOLD: Final = 0.05
_HELD_OUT: Final = 5  # every fifth group of real thumbnails is measured on


def main() -> None:
    """Train each way with each seed; print AP50 on each test beside that of people only, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.product_alone", description=__doc__)
    parser.add_argument("--data", type=Path, help="detection dataset to train on, instead of drawing one")
    parser.add_argument(
        "--people",
        type=Path,
        nargs=2,
        metavar=("CHOOSE", "MEASURE"),
        help="detection datasets to choose the best way on and to measure on, instead of drawing them",
    )
    parser.add_argument("--real", action="store_true", help="photos of FASHION_REAL_DATA instead of drawn ones")
    parser.add_argument("--world", type=int, default=501, help="seed of what is drawn")
    parser.add_argument("--images", type=int, default=900, help="drawn pictures of people to train on")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of training")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fashion-alone-") as folder:
        root = Path(folder)
        data, thumbnails, *both = _real(root) if options.real else _drawn(root, options)
        looks: list[Looks] = [{name: [] for name in options.ways} for _ in both]
        for seed in options.seeds:
            for name in options.ways:
                changes = {"steps": options.steps, "seed": seed, "evaluations": 1, "thumbnails": str(thumbnails)}
                train("detector", preset("detector", "tiny", **changes, **WAYS[name]), data, root / "detector")
                detector = Detector.load(root / "detector")
                for found, tests in zip(looks, both, strict=True):
                    found[name].append({test: _ap50(detector, samples) for test, samples in tests.items()})
                print(f"seed {seed}  {name:<20}", *(f"{k} {v:.3f}" for k, v in found[name][-1].items()), flush=True)
    _report(*looks)


def _drawn(root: Path, options: argparse.Namespace) -> tuple[Path, Path, Tests, Tests]:
    """What to train on, people and thumbnails; what to choose on; what to measure on."""
    data = options.data or _draw_people(root / "train", options.world, options.images)
    choose, measure = options.people or (None, None)
    return (
        data,
        _draw_thumbnails(root / "thumbnails", options.world + 3),
        _drawn_tests(choose or _draw_people(root / "choose", options.world + 4, _PEOPLE), options.world + 5),
        _drawn_tests(measure or _draw_people(root / "test", options.world + 1, _PEOPLE), options.world + 2),
    )


def _drawn_tests(people: Path, seed: int) -> Tests:
    return {
        "people": _samples(people, "train"),
        "plain ground": _products(seed, scene=False),
        "scene": _products(seed, scene=True),
    }


def _draw_people(root: Path, seed: int, images: int) -> Path:
    command = [sys.executable, "-m", "sandbox", "annotations", "--seed", str(seed), "--images", str(images)]
    subprocess.run([*command, "--out", str(root)], check=True)
    build_detection_dataset([source(name, root / name) for name in ("modanet", "fashionpedia")], root / "dataset")
    return root / "dataset"


def _draw_thumbnails(root: Path, seed: int) -> Path:
    """Shop pictures of products, as the sandbox's shop has them, in a folder with `labels.csv`."""
    root.mkdir()
    rows = []
    for label, category in enumerate(CATEGORIES):
        for number in range(_PER_CLASS):
            rng = stream(seed, "thumbnail", label, number)
            (root / f"{category}{number}").write_bytes(
                draw_thumbnail(draw_style(rng, category), draw_side(rng, 0.0), rng)
            )
            rows.append((f"{category}{number}", category))
    _write_labels(root, rows)
    return root


def _write_labels(root: Path, rows: Sequence[tuple[str, str]]) -> None:
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "category"), *rows])


def _products(seed: int, *, scene: bool) -> list[Sample]:
    """Products with the box of their pixels, before a plain ground or a scene, each taking half of it or more."""
    samples = []
    for label, category in enumerate(CATEGORIES):
        for number in range(_TESTED):
            rng = stream(seed, "thumbnail", label, number)
            product = lay_flat(draw_style(rng, category), _SIDE, rng)
            size = round(product.width * rng.uniform(1.0, 1.5)), round(product.height * rng.uniform(1.0, 1.5))
            image = backdrop(size, rng, mirror=False) if scene else Image.new("RGB", size, _GROUND)
            x, y = (int(rng.integers(0, size[axis] - product.size[axis] + 1)) for axis in (0, 1))
            image.paste(product, (x, y), product)
            x0, y0, x1, y1 = product.getbbox() or (0, 0, *product.size)
            samples.append(Sample(image, [[float(x + x0), float(y + y0), float(x1 - x0), float(y1 - y0)]], [label]))
    return samples


def _real(root: Path) -> tuple[Path, Path, Tests, Tests]:
    """As `_drawn`: street photos, a fifth of them held out; thumbnails split by their group."""
    folder = Path(os.environ["FASHION_REAL_DATA"]).resolve()
    build_detection_dataset([source("street", folder / "street")], root / "dataset", validation_share=0.2)
    with (folder / "thumbnails" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    groups = sorted({row["group"] for row in rows})
    held = groups[::_HELD_OUT]
    (root / "thumbnails").mkdir()
    (root / "thumbnails" / "images").symlink_to(folder / "thumbnails" / "images")
    _write_labels(root / "thumbnails", [(row["image"], row["category"]) for row in rows if row["group"] not in held])
    alone = [row for row in rows if row["category"] in CATEGORIES]
    random.Random(0).shuffle(alone)
    people = _samples(root / "dataset", "validation")
    choose, measure = (
        {
            "people": people[half::2],
            "products": _wholes(folder / "thumbnails", [row for row in alone if row["group"] in held[half::2]]),
        }
        for half in range(2)
    )
    return root / "dataset", root / "thumbnails", choose, measure


def _wholes(folder: Path, rows: Sequence[Mapping[str, str]]) -> list[Sample]:
    return [_whole(folder / row["image"], row["category"]) for row in rows[:_PEOPLE]]


def _whole(path: Path, category: str) -> Sample:
    image = decode(path.read_bytes())
    image.thumbnail((_SIDE, _SIDE))
    return Sample(image, [[0.0, 0.0, float(image.width), float(image.height)]], [CLASSES.index(category)])


def _samples(dataset: Path, split: str) -> list[Sample]:
    pictures = DetectionPictures(dataset, split)
    return [pictures[index][0] for index in range(min(len(pictures), _PEOPLE))]


def _ap50(detector: Detector, samples: Sequence[Sample]) -> float:
    found: list[list[Detection]] = detector.detect([sample.image for sample in samples], _THRESHOLD)
    return float(coco_metrics([sample.truth() for sample in samples], found)["ap50"])


def _report(choose: Looks, measure: Looks) -> None:
    """Print what was measured of each way, and of the one that was best on what was there to choose on."""
    mean = {name: _mean(runs) for name, runs in measure.items()}
    tests = list(next(iter(mean.values())))
    print(f"\n{'AP50':<20}" + "".join(f"{test:>16}" for test in tests))
    for name, values in mean.items():
        print(f"{name:<20}" + "".join(f"{values[test]:>16.3f}" for test in tests))
    best = max(choose, key=lambda name: _alone(_mean(choose[name])))
    figures: dict[str, Any] = {"best": best, "ap50_alone_after": round(_alone(mean[best]), 3)}
    if "people only" in mean:
        figures["ap50_alone_before"] = round(_alone(mean["people only"]), 3)
        figures["ap50_people_change"] = round(mean[best]["people"] - mean["people only"]["people"], 3)
    print(json.dumps(figures))


def _mean(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each test, over trainings."""
    return {test: float(np.mean([run[test] for run in runs])) for test in runs[0]}


def _alone(values: Mapping[str, float]) -> float:
    """Over the tests without people."""
    return float(np.mean([value for test, value in values.items() if test != "people"]))


if __name__ == "__main__":
    main()
