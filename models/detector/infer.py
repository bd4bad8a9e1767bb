"""A trained detector at work: pictures in, garments with boxes out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import torch  # noqa: TID253
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoModelForObjectDetection  # noqa: TID253

from curation.taxonomy import CATEGORIES
from models.boxes import Detection, box_agreement, without_doubles
from models.checkpoint import open_checkpoint
from models.detector.categories import CLASSES
from models.device import Precision, autocast, pick_device
from models.errors import CheckpointError

SAME_CLASS_IOU: Final = 0.6
"""Two shoes side by side overlap less. On a tiny detector, dropping doubles above it gained 9 points of AP50."""


class Detector:
    """Finds garments of the seven kinds, or of twelve, in photos. `version` names its weights."""

    def __init__(
        self, model: Any, processor: Any, version: str, device: torch.device, precision: Precision = "float32"
    ) -> None:
        labels = {int(index): name for index, name in model.config.id2label.items()}
        strange = sorted(set(labels.values()) - set(CLASSES))
        if strange:
            raise CheckpointError(f"detector has classes that are none of the twelve: {', '.join(strange)}")
        self.version = version
        self._labels = labels
        self._model = model.to(device).eval()
        self._processor = processor
        self._device = device
        self._precision: Precision = precision

    @classmethod
    def load(cls, source: str | Path, device: str = "auto", precision: Precision = "float32") -> Self:
        """Load a checkpoint directory or hub name. Raises `CheckpointError` as `open_checkpoint` does."""
        path, manifest = open_checkpoint(source, "detector")
        model = AutoModelForObjectDetection.from_pretrained(path)
        processor = AutoImageProcessor.from_pretrained(path)
        return cls(model, processor, manifest.version, pick_device(device), precision)

    def detect(
        self,
        images: Sequence[Image.Image],
        threshold: float = 0.5,
        batch: int = 16,
        classes: Sequence[str] = CATEGORIES,
        look_again: bool = False,
    ) -> list[list[Detection]]:
        """Detections of each RGB picture, best score first, doubles of one class dropped.

        Boxes of different classes may still overlap: see `models.boxes.suppress`.

        Args:
            images: of any sizes.
            threshold: smallest score that is returned, 0-1.
            batch: pictures per forward pass.
            classes: what is returned; a detector of twelve classes finds more.
            look_again: look at the mirror image of each picture too, and tell how far all boxes agree with each one. It
                takes twice as long, and says more the lower the threshold.
        """
        found: list[list[Detection]] = []
        for start in range(0, len(images), batch):
            some = images[start : start + batch]
            looks = list(self._batch(some, threshold))
            alone = [without_doubles(picture, SAME_CLASS_IOU) for picture in looks]
            found += _agreed(alone, looks, self._mirrored(some, threshold)) if look_again else alone
        return [[item for item in picture if item.category in classes] for picture in found]

    def _mirrored(self, images: Sequence[Image.Image], threshold: float) -> Iterator[list[Detection]]:
        """What is found in the mirror images, where it is in the pictures themselves."""
        found = self._batch([ImageOps.mirror(image) for image in images], threshold)
        for image, picture in zip(images, found, strict=True):
            boxes = [(image.width - x1, y0, image.width - x0, y1) for x0, y0, x1, y1 in (item.box for item in picture)]
            yield [replace(item, box=box) for item, box in zip(picture, boxes, strict=True)]

    @torch.inference_mode()
    def _batch(self, images: Sequence[Image.Image], threshold: float) -> list[list[Detection]]:
        """All that is found in each picture, doubles included, best score first."""
        inputs = self._processor(images=list(images), return_tensors="pt").to(self._device)
        with autocast(self._device, self._precision):
            outputs = self._model(**inputs)
        sizes = torch.tensor([[image.height, image.width] for image in images], device=self._device)
        results = self._processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=sizes)
        return [self._detections(result) for result in results]

    def _detections(self, result: dict[str, torch.Tensor]) -> list[Detection]:
        rows = zip(result["labels"].tolist(), result["scores"].tolist(), result["boxes"].tolist(), strict=True)
        found = [Detection(self._labels[label], score, tuple(box)) for label, score, box in rows]
        return sorted(found, key=lambda item: -item.score)


def _agreed(
    found: Sequence[Sequence[Detection]], looks: Sequence[list[Detection]], mirrored: Iterator[list[Detection]]
) -> list[list[Detection]]:
    """The detections of each picture with the agreement of both looks at it."""
    both = [first + second for first, second in zip(looks, mirrored, strict=True)]
    return [
        [replace(item, agreement=box_agreement(item, of)) for item in picture]
        for picture, of in zip(found, both, strict=True)
    ]
