"""A trained encoder at work: pictures of one garment each in, unit vectors out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor  # noqa: TID253

from models.checkpoint import open_checkpoint
from models.device import Precision, autocast, pick_device
from models.encoder.model import ImageEncoder
from models.pixels import model_input


class Encoder:
    """Embeds garments. `version` names its weights, `dimension` the length of its vectors."""

    def __init__(
        self,
        model: ImageEncoder,
        processor: Any,
        version: str,
        device: torch.device,
        precision: Precision = "float32",
    ) -> None:
        self.version = version
        self.dimension = int(model.embedding_layer.out_features)
        self._model = model.to(device).eval()
        self._processor = processor
        self._device = device
        self._precision: Precision = precision

    @classmethod
    def load(cls, source: str | Path, device: str = "auto", precision: Precision = "float32") -> Self:
        """Load a checkpoint directory or hub name. Raises `CheckpointError` as `open_checkpoint` does."""
        path, manifest = open_checkpoint(source, "encoder")
        model, processor = ImageEncoder.load(path), AutoImageProcessor.from_pretrained(path)
        return cls(model, processor, manifest.version, pick_device(device), precision)

    @torch.inference_mode()
    def embed(self, images: Sequence[Image.Image], batch: int = 64) -> NDArray[np.float32]:
        """Unit vectors of RGB pictures of any size; float32, (n, dimension)."""
        parts = [np.zeros((0, self.dimension), np.float32)]
        for start in range(0, len(images), batch):
            inputs = model_input(images[start : start + batch], self._processor).to(self._device)
            with autocast(self._device, self._precision):
                vectors = self._model(inputs)
            parts.append(vectors.float().cpu().numpy())
        return np.concatenate(parts)
