"""What the service asks of a detector and an encoder. `models.*.infer` fulfils it; tests bring small stand-ins."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.boxes import Detection


class Detector(Protocol):
    """Finds garments in photos."""

    def detect(self, images: Sequence[Image.Image], threshold: float) -> Sequence[Sequence[Detection]]:
        """Give the detections that score at least `threshold`, per image, not yet suppressed."""


class Encoder(Protocol):
    """Turns pictures into vectors."""

    @property
    def version(self) -> str:
        """Names the weights; an index made with other weights is refused."""

    def embed(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Give one unit vector per image, shape (n, d)."""
