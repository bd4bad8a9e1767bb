"""A trained classifier at work: thumbnails in, label probabilities out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn  # noqa: TID253
from transformers import AutoImageProcessor, AutoModelForImageClassification  # noqa: TID253

from curation.taxonomy import LABELS
from models.checkpoint import open_checkpoint
from models.classifier.calibration import softmax
from models.device import Precision, inference_precision, pick_device
from models.errors import CheckpointError
from models.forward import Forward
from models.pixels import input_size, model_input, random_input
from models.runtime import Engine, Inputs, Outputs, compile_for

Group = TypeVar("Group")
Tag = TypeVar("Tag")

TEMPERATURE: Final = "calibration_temperature"
THRESHOLD: Final = "accept_probability"
"""Keys of the network's configuration, so that they travel with it and are part of its version."""
_PRIOR_THRESHOLD: Final = 0.8
_BATCH: Final = 64  # pictures per forward pass
_PROBES: Final = (2, 3)  # rows of the batches on which a converted network is compared


class Classifier:
    """Names the category of a thumbnail, `etc` included.

    `version` names its weights and calibration, `threshold` is the probability at which a name is believed,
    `input_size` is (height, width) in px. A published checkpoint has no calibration: its temperature is 1, its
    threshold that of the prior work.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        version: str,
        device: torch.device,
        precision: Precision = "float32",
        engine: Engine = "torch",
        cache: Path | None = None,
    ) -> None:
        """`engine` and `cache`: see `models.runtime.compile_for`; a network that still learns stays in torch."""
        labels = [model.config.id2label[index] for index in sorted(model.config.id2label, key=int)]
        if labels != list(LABELS):
            raise CheckpointError(f"classifier has the labels {labels}, expected {list(LABELS)}")
        self.version = version
        self.temperature = float(getattr(model.config, TEMPERATURE, 1.0))
        self.threshold = float(getattr(model.config, THRESHOLD, _PRIOR_THRESHOLD))
        self.input_size = input_size(processor)
        self._processor = processor
        network = _Logits(model.to(device).eval()).eval()
        probes = [(random_input(rows, *self.input_size).to(device),) for rows in _PROBES]
        run = compile_for(network, probes, device, _distance, precision=precision, engine=engine, cache=cache)
        self._forward = Forward(run, device, precision)

    @classmethod
    def load(
        cls, source: str | Path, device: str = "auto", precision: Precision | None = None, engine: Engine = "auto"
    ) -> Self:
        """Load a checkpoint directory or hub name. Raises `CheckpointError` as `open_checkpoint` does.

        `precision` None is `models.device.inference_precision`.
        """
        path, manifest = open_checkpoint(source, "classifier")
        model = AutoModelForImageClassification.from_pretrained(path, dtype=torch.float32)
        processor = AutoImageProcessor.from_pretrained(path)
        where = pick_device(device)
        return cls(model, processor, manifest.version, where, precision or inference_precision(where), engine, path)

    def probabilities(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        """Calibrated probability of each label in `LABELS` for RGB pictures of any size; (n, 8), rows sum to 1."""
        return softmax(self.logits(images) / self.temperature)

    def logits(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        """What the network says before calibration; (n, 8)."""
        chunks = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
        return _joined(
            [part for _, parts in self._forward.each(chunks, lambda chunk: self._batch(None, chunk)) for part in parts]
        )

    def probabilities_each(
        self, groups: Iterable[Group], load: Callable[[Group], tuple[Tag, Sequence[Image.Image]]]
    ) -> Iterator[tuple[Tag, NDArray[np.float64]]]:
        """`probabilities` of groups of pictures, each group a batch; the next ones are loaded meanwhile.

        Args:
            groups: whatever `load` takes.
            load: called in other threads: a group → what is wanted back with its probabilities, and its RGB pictures.
        """
        for tag, outputs in self._forward.each(groups, lambda group: self._batch(*load(group))):
            yield tag, softmax(_joined(outputs) / self.temperature)

    def _batch(self, tag: Tag, images: Sequence[Image.Image]) -> tuple[Tag, list[Inputs]]:
        return tag, [(model_input(images, self._processor),)] if images else []


class _Logits(nn.Module):
    """The network, giving tensors only."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(n, 3, height, width) → (n, labels)."""
        logits: Tensor = self.model(pixel_values=pixel_values).logits
        return logits


def _joined(batches: Sequence[Outputs]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros((0, len(LABELS))), *(logits.double().numpy() for (logits,) in batches)])


def _distance(original: Outputs, converted: Outputs) -> float:
    """The largest difference of a probability."""
    return float((original[0].softmax(1) - converted[0].softmax(1)).abs().max())
