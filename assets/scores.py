"""The metrics of `report.json`: what the stages made, against the sandbox's truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from assets.artifacts import manifest_of
from assets.resources import SandboxSites
from curation.tables import ShardedTable
from curation.taxonomy import LABELS
from sandbox.score import Judge, pair_scores

_PAIR_COLUMNS: Final = ("site", "post_id", "product_id", "photo_position", "box", "kept")
_OTHER_WORLD: Final = 7_777_777
"""Added to the seed: a world whose products no model has seen."""


@dataclass(frozen=True)
class Made:
    """What a run made, as far as it can be held against the truth."""

    detector: Path
    classifier: Path
    encoder: Path
    posts: ShardedTable
    catalog: ShardedTable
    crops: ShardedTable
    candidates: ShardedTable
    dataset: Path


def score_run(sites: SandboxSites, truth_folder: Path, made: Made) -> dict[str, float]:
    """Every metric of the run, each a share between 0 and 1.

    A folder of real photos has no true boxes: there the figures of detector and classifier are those of their own
    validation sets, and no mean-box baseline exists.
    """
    judge = Judge({path.stem: pq.read_table(path) for path in sorted(truth_folder.glob("*.parquet"))})
    pairs = [row for batch in made.candidates.batches(_PAIR_COLUMNS) for row in batch.to_pylist() if row["kept"]]
    if sites.photos:
        models = {
            "detector_ap50": float(manifest_of(made.detector)["metrics"]["ap50"]),
            "classifier_accuracy": float(manifest_of(made.classifier)["metrics"]["accuracy"]),
        }
    else:
        models = {
            **_detector_scores(judge, made.crops, made.posts),
            "classifier_accuracy": _classifier_accuracy(sites, made.classifier),
        }
    return {**models, **pair_scores(judge, pairs), **_recall_scores(judge, made)}


def _recall_scores(judge: Judge, made: Made) -> dict[str, float]:
    """R@1 of test crops among the whole catalog of their category, by what each crop truly shows.

    Crops that show no tagged product (a wrong tag, a bystander) have no right answer and are left out.
    """
    from models.encoder.infer import Encoder
    from models.encoder.report import BASELINES, evaluate_encoders, uniform

    def shown(row: Mapping[str, Any]) -> tuple[str, str] | None:
        if not judge.is_right(row):
            return None
        product = judge.shown((row["site"], row["post_id"], row["photo_position"]), row["box"])
        return "kream", str(product)

    encoders = {"encoder": uniform(Encoder.load(made.encoder).embed), **BASELINES}
    measured = evaluate_encoders(encoders, made.dataset, made.catalog, product_of=shown)
    summaries = measured.numbers["encoders"]
    return {f"{name}_recall_at_1": summaries[name]["filtered"]["overall"]["r@1"]["mean"] for name in encoders}


def _detector_scores(judge: Judge, crops: ShardedTable, posts: ShardedTable) -> dict[str, float]:
    """AP50 of the detector, and of the mean box of each class, over every photo that could be decoded."""
    from models.boxes import Detection
    from models.detector.evaluate import MeanBox, coco_metrics

    found: dict[tuple[str, int, int], list[Detection]] = {}
    for row in crops.table(["site", "post_id", "position", "category", "score", "box", "reason"]).to_pylist():
        photo = found.setdefault((row["site"], row["post_id"], row["position"]), [])
        if row["category"]:
            photo.append(Detection(row["category"], row["score"], tuple(row["box"])))
    sizes = {
        (row["site"], row["post_id"], row["position"]): (row["width"], row["height"])
        for row in posts.table(["site", "post_id", "position", "role", "width", "height"]).to_pylist()
        if row["role"] == "photo" and row["width"] is not None
    }
    photos = [photo for photo in sizes if judge.boxes(photo)]
    truth = [[(row["category"], tuple(row["box"])) for row in judge.boxes(photo)] for photo in photos]
    shapes = [sizes[photo] for photo in photos]
    return {
        "detector_ap50": coco_metrics(truth, [found[photo] for photo in photos])["ap50"],
        "mean_box_ap50": coco_metrics(truth, MeanBox(truth, shapes).detect(shapes))["ap50"],
    }


def _classifier_accuracy(sites: SandboxSites, classifier: Path) -> float:
    """Accuracy on the thumbnails of another world's products, all classes and `etc` included."""
    from curation.images import decode
    from models.classifier.infer import Classifier
    from sandbox.world import World

    other = World(sites.seed + _OTHER_WORLD, sites.posts)
    chosen = [product for product in other.products.values() if other.has_thumbnail("kream", product.product_id)]
    chosen = [product for product in chosen if not other.thumbnail_fault("kream", product.product_id)]
    images = [decode(other.thumbnail("kream", product.product_id)) for product in chosen]
    named = Classifier.load(classifier).probabilities(images).argmax(1)
    right: list[bool] = [LABELS[label] == product.category for label, product in zip(named, chosen, strict=True)]
    return sum(right) / len(right)
