"""A trained encoder at work: pictures of one garment each in, unit vectors out."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor  # noqa: TID253
from transformers import AutoImageProcessor  # noqa: TID253

from models.checkpoint import open_checkpoint
from models.device import Precision, autocast, pick_device
from models.encoder.model import ImageEncoder
from models.pixels import model_input, normalise, to_unit


class Encoder:
    """Embeds garments. `version` names its weights, `dimension` its vectors' length, `processor` its preprocessing."""

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
        self.processor = processor
        self._device = device
        self._precision: Precision = precision

    @classmethod
    def load(cls, source: str | Path, device: str = "auto", precision: Precision = "float32") -> Self:
        """Load a checkpoint directory or hub name. Raises `CheckpointError` as `open_checkpoint` does."""
        path, manifest = open_checkpoint(source, "encoder")
        model, processor = ImageEncoder.load(path), AutoImageProcessor.from_pretrained(path)
        return cls(model, processor, manifest.version, pick_device(device), precision)

    def embed(self, images: Sequence[Image.Image], batch: int = 64) -> NDArray[np.float32]:
        """Unit vectors of RGB pictures of any size; float32, (n, dimension)."""
        chunks = (images[start : start + batch] for start in range(0, len(images), batch))
        return self._join(model_input(chunk, self.processor) for chunk in chunks)

    def embed_pixels(self, pixels: NDArray[np.uint8], batch: int = 64) -> NDArray[np.float32]:
        """Unit vectors of pictures that were prepared and resized before; uint8, (n, height, width, 3)."""
        chunks = (pixels[start : start + batch] for start in range(0, len(pixels), batch))
        return self._join(normalise(to_unit(chunk), self.processor) for chunk in chunks)

    def _join(self, inputs: Iterable[Tensor]) -> NDArray[np.float32]:
        empty = np.zeros((0, self.dimension), np.float32)
        return np.concatenate([empty, *(self._vectors(part) for part in inputs)])

    @torch.inference_mode()
    def _vectors(self, inputs: Tensor) -> NDArray[np.float32]:
        with autocast(self._device, self._precision):
            vectors = self._model(inputs.to(self._device))
        result: NDArray[np.float32] = vectors.float().cpu().numpy()
        return result
