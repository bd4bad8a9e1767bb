"""The detector's gate: the candidate and the detector in use look at the same held-out pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from curation.taxonomy import CATEGORIES
from models.boxes import Detection, overlap
from models.checkpoint import open_checkpoint
from models.detector.data import DetectionPictures
from models.detector.evaluate import MeanBox, Truth, coco_metrics
from models.detector.infer import Detector
from models.detector.step import CROP_THRESHOLD
from models.promotion import Verdict, beats, not_worse

MEASURE: Final = "f1"
_IOU: Final = 0.5  # from which a box counts as found


def weigh_detector(candidate: Path, in_use: Path | None, data: Path, *, margin: float) -> Verdict:
    """Compare the F1 of each validation picture's boxes of the seven kinds, as crops would be made of them.

    A picture never moves from train to validation, so the detector in use has not learned from these either.

    Args:
        candidate: checkpoint directory.
        in_use: checkpoint directory of the detector that would be replaced; None asks to beat boxes that do not look.
        data: directory of `build_detection_dataset`.
        margin: how much worse than the one in use a candidate may be, in F1.

    Raises:
        MetricError: there are too few pictures to tell.
    """
    pictures = DetectionPictures(data, "validation")
    if in_use is None:
        ap50 = float(open_checkpoint(candidate, "detector")[1].metrics["ap50"])
        return beats("ap50", ap50, {"mean box": _mean_box_ap50(data, pictures)})
    new, old = (_f1_of_each(Detector.load(path), pictures) for path in (candidate, in_use))
    return not_worse(new, old, np.arange(len(pictures)), margin=margin, measure=MEASURE)


def picture_f1(truth: Truth, found: Sequence[Detection]) -> float:
    """F1 of one picture's boxes at IoU 0.5, classes considered: 2·found / (true boxes + detections).

    Every true box is found at most once, by the surest detection that overlaps it (COCO's greedy matching). An empty
    picture in which nothing is detected counts as 1.
    """
    if not truth and not found:
        return 1.0
    overlaps = overlap([item.box for item in found], [box for _, box in truth])
    free = set(range(len(truth)))
    for row in sorted(range(len(found)), key=lambda index: -found[index].score):
        fitting = [at for at in free if truth[at][0] == found[row].category and overlaps[row, at] >= _IOU]
        if fitting:
            free.remove(max(fitting, key=lambda at: float(overlaps[row, at])))
    return 2 * (len(truth) - len(free)) / (len(truth) + len(found))


def _f1_of_each(detector: Detector, pictures: DetectionPictures) -> NDArray[np.float64]:
    each = detector.detect_split(pictures, CROP_THRESHOLD)
    return np.array([picture_f1([it for it in truth if it[0] in CATEGORIES], found) for truth, found in each])


def _mean_box_ap50(data: Path, validation: DetectionPictures) -> float:
    """AP50 of the training pictures' mean boxes."""
    train = DetectionPictures(data, "train")
    baseline = MeanBox(train.truths, train.sizes)
    return float(coco_metrics(validation.truths, baseline.detect(validation.sizes))["ap50"])
