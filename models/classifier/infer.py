"""A trained classifier at work: thumbnails in, label probabilities out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification  # noqa: TID253

from curation.taxonomy import LABELS
from models.checkpoint import open_checkpoint
from models.classifier.calibration import softmax
from models.device import Precision, autocast, pick_device
from models.errors import CheckpointError
from models.pixels import model_input

TEMPERATURE: Final = "calibration_temperature"
THRESHOLD: Final = "accept_probability"
"""Keys of the network's configuration, so that they travel with it and are part of its version."""
_PRIOR_THRESHOLD: Final = 0.8


class Classifier:
    """Names the category of a thumbnail, `etc` included.

    `version` names its weights and calibration, `threshold` is the probability at which a name is believed. A published
    checkpoint has no calibration: its temperature is 1, its threshold that of the prior work.
    """

    def __init__(
        self, model: Any, processor: Any, version: str, device: torch.device, precision: Precision = "float32"
    ) -> None:
        labels = [model.config.id2label[index] for index in sorted(model.config.id2label, key=int)]
        if labels != list(LABELS):
            raise CheckpointError(f"classifier has the labels {labels}, expected {list(LABELS)}")
        self.version = version
        self.temperature = float(getattr(model.config, TEMPERATURE, 1.0))
        self.threshold = float(getattr(model.config, THRESHOLD, _PRIOR_THRESHOLD))
        self._model = model.to(device).eval()
        self._processor = processor
        self._device = device
        self._precision: Precision = precision

    @classmethod
    def load(cls, source: str | Path, device: str = "auto", precision: Precision = "float32") -> Self:
        """Load a checkpoint directory or hub name. Raises `CheckpointError` as `open_checkpoint` does."""
        path, manifest = open_checkpoint(source, "classifier")
        model = AutoModelForImageClassification.from_pretrained(path)
        processor = AutoImageProcessor.from_pretrained(path)
        return cls(model, processor, manifest.version, pick_device(device), precision)

    def probabilities(self, images: Sequence[Image.Image], batch: int = 64) -> NDArray[np.float64]:
        """Calibrated probability of each label in `LABELS` for RGB pictures of any size; (n, 8), rows sum to 1."""
        return softmax(self.logits(images, batch) / self.temperature)

    @torch.inference_mode()
    def logits(self, images: Sequence[Image.Image], batch: int = 64) -> NDArray[np.float64]:
        """What the network says before calibration; (n, 8)."""
        parts = [np.zeros((0, len(LABELS)))]
        for start in range(0, len(images), batch):
            inputs = model_input(images[start : start + batch], self._processor).to(self._device)
            with autocast(self._device, self._precision):
                logits = self._model(pixel_values=inputs).logits
            parts.append(logits.double().cpu().numpy())
        return np.concatenate(parts)
