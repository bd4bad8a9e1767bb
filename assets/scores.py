"""The metrics of `report.json`: what the stages made, against the sandbox's truth."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from assets.resources import SandboxSites
from curation.errors import ImageError
from curation.images import decode
from curation.places import read_manifest
from curation.tables import ShardedTable
from curation.taxonomy import ETC, LABELS
from models.boxes import Detection
from models.encoder.evaluate import mean_of
from sandbox.score import MIN_VISIBLE, Judge, pair_scores

if TYPE_CHECKING:
    from models.encoder.end_to_end import AnnotatedPhoto
    from search.protocols import Detector

_PAIR_COLUMNS: Final = ("site", "post_id", "product_id", "photo_position", "box", "kept")
_OTHER_WORLD: Final = 7_777_777
"""Added to the seed: a world whose products no model has seen."""


def judge_of(truth: Path) -> Judge:
    """The judge who knows a folder of truth tables."""
    return Judge({path.stem: pq.read_table(path) for path in sorted(truth.glob("*.parquet"))})


def detector_scores(
    sites: SandboxSites, truth: Path, detector: Path, crops: ShardedTable, posts: ShardedTable
) -> dict[str, float]:
    """AP (COCO's, IoU 0.50:0.95) and AP50 of the detector, and AP50 of the mean box of each class, over every photo.

    A folder of real photos has no true boxes: there they are those on the detector's own validation set, and no
    mean-box baseline exists.
    """
    if sites.photos:
        metrics = read_manifest(detector)["metrics"]
        return {"detector_ap50": float(metrics["ap50"]), "detector_ap": float(metrics["map"])}
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
    photos = [photo for photo in sizes if photo in found and judge.boxes(photo)]  # some may have been crawled since
    boxes = [[(row["category"], tuple(row["box"])) for row in judge.boxes(photo)] for photo in photos]
    shapes = [sizes[photo] for photo in photos]
    measured = coco_metrics(boxes, [found[photo] for photo in photos])
    return {
        "detector_ap50": measured["ap50"],
        "detector_ap": measured["map"],
        "mean_box_ap50": coco_metrics(boxes, MeanBox(boxes, shapes).detect(shapes))["ap50"],
    }


def classifier_scores(sites: SandboxSites, classifier: Path) -> dict[str, float]:
    """Accuracy and calibration error on the thumbnails of another world's products, `etc` included.

    There is no other world of a folder of real photos: there they are those on the classifier's own validation set.
    """
    if sites.photos:
        metrics = read_manifest(classifier)["metrics"]
        return {f"classifier_{name}": float(metrics[name]) for name in ("accuracy", "ece")}
    from models.classifier.calibration import calibration
    from models.classifier.infer import Classifier
    from sandbox.world import World

    other = World(sites.seed + _OTHER_WORLD, sites.posts)
    chosen = [product for product in other.products.values() if other.has_thumbnail("kream", product.product_id)]
    chosen = [product for product in chosen if not other.thumbnail_fault("kream", product.product_id)]
    images = [decode(other.thumbnail("kream", product.product_id)) for product in chosen]
    trained = Classifier.load(classifier)
    probabilities = trained.probabilities(images)
    labels = np.array([LABELS.index(product.category) for product in chosen])
    right = probabilities.argmax(1) == labels
    accepted = (probabilities.max(1) >= trained.threshold) & (probabilities.argmax(1) != LABELS.index(ETC))
    return {
        "classifier_accuracy": float(right.mean()),
        "classifier_ece": float(calibration(probabilities, labels)["ece"]),
        "classifier_accepted": float(accepted.mean()),
        **({"classifier_accepted_precision": float(right[accepted].mean())} if accepted.any() else {}),
    }


def pairs_scores(truth: Path, candidates: ShardedTable) -> dict[str, float]:
    """Precision and recall of the kept pairs."""
    pairs = [row for batch in candidates.batches(_PAIR_COLUMNS) for row in batch.to_pylist() if row["kept"]]
    return pair_scores(judge_of(truth), pairs)


def encoder_scores(
    truth: Path, encoder: Path, detector: Path, dataset: Path, catalog: ShardedTable, posts: ShardedTable
) -> tuple[dict[str, float], dict[str, Any]]:
    """R@1 of test crops among the whole catalog of their category, by what each crop truly shows; and end to end.

    Crops that show no tagged product (a wrong tag, a bystander) have no right answer and are left out. End to end is
    measured on the photos of the test posts, whose true boxes are known; real photos have none.

    Returns:
        The scores, and all that was measured: `crops` (see `evaluate_encoders`) and `photos` (see
        `evaluate_end_to_end`; empty without true boxes).
    """
    from models.detector.infer import Detector
    from models.encoder.end_to_end import evaluate_end_to_end
    from models.encoder.infer import Encoder
    from models.encoder.report import BASELINES, evaluate_encoders, uniform

    judge = judge_of(truth)

    def shown(row: Mapping[str, Any]) -> tuple[str, str] | None:
        if not judge.is_right(row):
            return None
        product = judge.shown((row["site"], row["post_id"], row["photo_position"]), row["box"])
        return "kream", str(product)

    embed, found_by = Encoder.load(encoder).embed, Detector.load(detector)
    encoders = {"encoder": uniform(embed), **BASELINES}
    measured = evaluate_encoders(encoders, dataset, catalog, product_of=shown, examples=0)
    summaries = measured.numbers["encoders"]
    scores = {f"{name}_recall_at_1": mean_of(summaries[name]["filtered"], "r@1") for name in encoders}
    photos = annotated_photos(judge, dataset, posts, measured.gallery.known)
    first = next(photos, None)
    if first is None:
        return scores, {"crops": measured.numbers, "photos": {}}

    detect = partial(as_answered, found_by)
    whole = evaluate_end_to_end(detect, embed, chain([first], photos), measured.gallery.embedded["encoder"])
    for name in ("true_boxes", "end_to_end"):
        scores[f"{name}_recall_at_1"] = mean_of(whole[name], "r@1")
    return scores, {"crops": measured.numbers, "photos": whole}


def as_answered(detector: "Detector", images: Sequence[Image.Image]) -> list[list[Detection]]:
    """Detections of which the search service answers each."""
    from search.photo import Photo
    from search.query import DETECT_THRESHOLD, answered

    found = detector.detect(images, DETECT_THRESHOLD)
    return [answered(Photo(image, *image.size), of) for image, of in zip(images, found, strict=True)]


def annotated_photos(
    judge: Judge, dataset: Path, posts: ShardedTable, known: Mapping[tuple[str, str], str]
) -> Iterator["AnnotatedPhoto"]:
    """Photos of the test posts with what is worn on them and was paired: garments of test products, well visible."""
    from models.encoder.end_to_end import AnnotatedPhoto, Worn

    pairs = pa.concat_tables(
        [pq.read_table(path, columns=["site", "post_id", "product_id"]) for path in sorted(dataset.glob("test-*"))]
    ).to_pylist()
    chosen = {(row["site"], row["post_id"]) for row in pairs}
    products = {judge.product(row["site"], row["product_id"]) for row in pairs}
    for batch in posts.batches(["site", "post_id", "position", "role", "bytes"]):
        for row in batch.filter(pc.equal(batch["role"], "photo")).to_pylist():
            if (row["site"], row["post_id"]) not in chosen or row["bytes"] is None:
                continue
            worn = [
                Worn(box["category"], tuple(box["box"]), known["kream", str(box["product_id"])])
                for box in judge.boxes((row["site"], row["post_id"], row["position"]))
                if box["product_id"] in products and box["visible"] >= MIN_VISIBLE
                if ("kream", str(box["product_id"])) in known
            ]
            try:
                image = decode(row["bytes"]) if worn else None
            except ImageError:  # the crawl's table says why
                continue
            if image is not None:
                yield AnnotatedPhoto(image, worn)
