"""The metrics of `report.json`: what the stages made, against the sandbox's truth."""

from collections.abc import Mapping
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


def judge_of(truth: Path) -> Judge:
    """The judge who knows a folder of truth tables."""
    return Judge({path.stem: pq.read_table(path) for path in sorted(truth.glob("*.parquet"))})


def detector_scores(
    sites: SandboxSites, truth: Path, detector: Path, crops: ShardedTable, posts: ShardedTable
) -> dict[str, float]:
    """AP50 of the detector, and of the mean box of each class, over every photo that could be decoded.

    A folder of real photos has no true boxes: there it is the AP50 on the detector's own validation set, and no
    mean-box baseline exists.
    """
    if sites.photos:
        return {"detector_ap50": float(manifest_of(detector)["metrics"]["ap50"])}
    from models.boxes import Detection
    from models.detector.evaluate import MeanBox, coco_metrics

    judge = judge_of(truth)
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
    boxes = [[(row["category"], tuple(row["box"])) for row in judge.boxes(photo)] for photo in photos]
    shapes = [sizes[photo] for photo in photos]
    return {
        "detector_ap50": coco_metrics(boxes, [found[photo] for photo in photos])["ap50"],
        "mean_box_ap50": coco_metrics(boxes, MeanBox(boxes, shapes).detect(shapes))["ap50"],
    }


def classifier_scores(sites: SandboxSites, classifier: Path) -> dict[str, float]:
    """Accuracy on the thumbnails of another world's products, all classes and `etc` included.

    There is no other world of a folder of real photos: there it is the accuracy on the classifier's own validation set.
    """
    if sites.photos:
        return {"classifier_accuracy": float(manifest_of(classifier)["metrics"]["accuracy"])}
    from curation.images import decode
    from models.classifier.infer import Classifier
    from sandbox.world import World

    other = World(sites.seed + _OTHER_WORLD, sites.posts)
    chosen = [product for product in other.products.values() if other.has_thumbnail("kream", product.product_id)]
    chosen = [product for product in chosen if not other.thumbnail_fault("kream", product.product_id)]
    images = [decode(other.thumbnail("kream", product.product_id)) for product in chosen]
    named = Classifier.load(classifier).probabilities(images).argmax(1)
    right: list[bool] = [LABELS[label] == product.category for label, product in zip(named, chosen, strict=True)]
    return {"classifier_accuracy": sum(right) / len(right)}


def pairs_scores(truth: Path, candidates: ShardedTable) -> dict[str, float]:
    """Precision and recall of the kept pairs."""
    pairs = [row for batch in candidates.batches(_PAIR_COLUMNS) for row in batch.to_pylist() if row["kept"]]
    return pair_scores(judge_of(truth), pairs)


def encoder_scores(truth: Path, encoder: Path, dataset: Path, catalog: ShardedTable) -> dict[str, float]:
    """R@1 of test crops among the whole catalog of their category, by what each crop truly shows.

    Crops that show no tagged product (a wrong tag, a bystander) have no right answer and are left out.
    """
    from models.encoder.infer import Encoder
    from models.encoder.report import BASELINES, evaluate_encoders, uniform

    judge = judge_of(truth)

    def shown(row: Mapping[str, Any]) -> tuple[str, str] | None:
        if not judge.is_right(row):
            return None
        product = judge.shown((row["site"], row["post_id"], row["photo_position"]), row["box"])
        return "kream", str(product)

    encoders = {"encoder": uniform(Encoder.load(encoder).embed), **BASELINES}
    measured = evaluate_encoders(encoders, dataset, catalog, product_of=shown)
    summaries = measured.numbers["encoders"]
    return {f"{name}_recall_at_1": summaries[name]["filtered"]["overall"]["r@1"]["mean"] for name in encoders}
