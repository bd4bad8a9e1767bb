"""Photo → detected box → product, beside the same search from annotated boxes: what detection costs the encoder.

Three searches of each annotated garment: from its true box in its true category; from the detected box nearest to it,
still in its true category; and as a user gets it, in the category that the detector names. A garment that was not
detected finds nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.boxes import Box, Detection, cut, overlap
from models.encoder.baselines import EmbedImages
from models.encoder.evaluate import Embedded, compare_measures, summarise, with_misses
from models.errors import MetricError
from models.statistics import FEWEST_CLUSTERS

MIN_IOU: Final = 0.5
"""A detection is of a garment when it overlaps its annotated box at least this much."""
_PHOTOS_AT_ONCE: Final = 16

Detect = Callable[[Sequence[Image.Image]], list[list[Detection]]]


@dataclass(frozen=True, slots=True)
class Worn:
    """One garment on a photo."""

    category: str
    box: Box
    product: str  # label in the gallery


@dataclass(frozen=True, slots=True)
class AnnotatedPhoto:
    """A photo and what is worn on it."""

    image: Image.Image
    worn: Sequence[Worn]


@dataclass
class _Queries:
    """Every garment's crops, gathered photo by photo."""

    worn: list[Worn] = field(default_factory=list)
    named: list[str] = field(default_factory=list)  # category of the detection; "" where there is none
    true: list[NDArray[np.float32]] = field(default_factory=list)
    detected: list[NDArray[np.float32]] = field(default_factory=list)  # of the true box where there is none


def evaluate_end_to_end(
    detect: Detect,
    embed: EmbedImages,
    photos: Iterable[AnnotatedPhoto],
    gallery: Embedded,
) -> dict[str, Any]:
    """Search for every annotated garment in the three ways.

    Args:
        detect: pictures → detections of each, as search uses them: threshold and suppression applied.
        embed: crops → unit vectors (n, d).
        photos: streamed; a few are held at once.
        gallery: a product that it lacks, or files under another category, is never found.

    Returns:
        `garments`; `detected` and `named`, the shares that were found and found under their category; the summaries
        (`models.encoder.evaluate.summarise`) `true_boxes`, `detected_boxes` and `end_to_end`; and `gap`: end to end
        minus true boxes, for every measure, paired; empty where all garments are of one product.

    Raises:
        MetricError: there is no garment.
    """
    queries = _gather(detect, embed, photos)
    if not queries.worn:
        raise MetricError("no annotated garment to search for")
    products = np.array([worn.product for worn in queries.worn])
    true = np.array([worn.category for worn in queries.worn])
    named = np.array(queries.named)
    there = np.where(named == "", "", true)  # no category of the gallery: finds nothing
    asked = {
        "true_boxes": Embedded(np.stack(queries.true), products, true),
        "detected_boxes": Embedded(np.stack(queries.detected), products, there),
        "end_to_end": Embedded(np.stack(queries.detected), products, named),
    }
    measures = {name: with_misses(of, gallery)[0] for name, of in asked.items()}
    several = len(np.unique(products)) >= FEWEST_CLUSTERS
    return {
        "garments": len(products),
        "detected": float((named != "").mean()),
        "named": float((named == true).mean()),
        **{name: summarise(of, true, products) for name, of in measures.items()},
        "gap": compare_measures(measures["end_to_end"], measures["true_boxes"], products) if several else {},
    }


def _gather(detect: Detect, embed: EmbedImages, photos: Iterable[AnnotatedPhoto]) -> _Queries:
    queries = _Queries()
    stream = iter(photos)
    while batch := list(islice(stream, _PHOTOS_AT_ONCE)):
        found = detect([photo.image for photo in batch])
        rows = [
            (photo, worn, _nearest(worn.box, detections))
            for photo, detections in zip(batch, found, strict=True)
            for worn in photo.worn
        ]
        if not rows:
            continue
        queries.worn += [worn for _, worn, _ in rows]
        queries.named += [nearest.category if nearest else "" for _, _, nearest in rows]
        queries.true += list(embed([cut(photo.image, worn.box) for photo, worn, _ in rows]))
        crops = [cut(photo.image, nearest.box if nearest else worn.box) for photo, worn, nearest in rows]
        queries.detected += list(embed(crops))
    return queries


def _nearest(box: Box, detections: Sequence[Detection]) -> Detection | None:
    """The detection that overlaps a box most, if it does so enough."""
    if not detections:
        return None
    overlaps = overlap([box], [item.box for item in detections])[0]
    best = int(overlaps.argmax())
    return detections[best] if overlaps[best] >= MIN_IOU else None
