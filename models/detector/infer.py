"""A trained detector at work: pictures in, garments with boxes out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import torch  # noqa: TID253
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForObjectDetection  # noqa: TID253

from curation.taxonomy import CATEGORIES
from models.boxes import Detection, without_doubles
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
    ) -> list[list[Detection]]:
        """Detections of each RGB picture, best score first, doubles of one class dropped.

        Boxes of different classes may still overlap: see `models.boxes.suppress`.

        Args:
            images: of any sizes.
            threshold: smallest score that is returned, 0-1.
            batch: pictures per forward pass.
            classes: what is returned; a detector of twelve classes finds more.
        """
        found: list[list[Detection]] = []
        for start in range(0, len(images), batch):
            found += self._batch(images[start : start + batch], threshold)
        return [[item for item in picture if item.category in classes] for picture in found]

    @torch.inference_mode()
    def _batch(self, images: Sequence[Image.Image], threshold: float) -> list[list[Detection]]:
        inputs = self._processor(images=list(images), return_tensors="pt").to(self._device)
        with autocast(self._device, self._precision):
            outputs = self._model(**inputs)
        sizes = torch.tensor([[image.height, image.width] for image in images], device=self._device)
        results = self._processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=sizes)
        return [self._detections(result) for result in results]

    def _detections(self, result: dict[str, torch.Tensor]) -> list[Detection]:
        rows = zip(result["labels"].tolist(), result["scores"].tolist(), result["boxes"].tolist(), strict=True)
        found = [Detection(self._labels[label], score, tuple(box)) for label, score, box in rows]
        return without_doubles(sorted(found, key=lambda item: -item.score), SAME_CLASS_IOU)
