"""A trained encoder at work: pictures of one garment each in, unit vectors out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor  # noqa: TID253
from transformers import AutoImageProcessor  # noqa: TID253

from models.checkpoint import open_checkpoint
from models.device import Precision, pick_device
from models.encoder.model import ImageEncoder
from models.encoder.scales import at_scales
from models.forward import Forward
from models.pixels import input_size, model_input, normalise, random_input, to_unit
from models.runtime import Engine, Inputs, Outputs, compile_for

Group = TypeVar("Group")
Tag = TypeVar("Tag")

_BATCH: Final = 64  # pictures per forward pass
_PROBES: Final = (2, 3)  # rows of the batches on which a converted network is compared


class Encoder:
    """Embeds garments. `version` names its weights, `dimension` its vectors' length, `processor` its preprocessing."""

    def __init__(
        self,
        model: ImageEncoder,
        processor: Any,
        version: str,
        device: torch.device,
        precision: Precision = "float32",
        engine: Engine = "torch",
        cache: Path | None = None,
    ) -> None:
        """`engine` and `cache`: see `models.runtime.compile_for`; a network that still learns stays in torch."""
        self.version = version
        self.dimension = int(model.embedding_layer.out_features)
        self.processor = processor
        network = at_scales(model.to(device), processor).eval()
        probes = [(random_input(rows, *input_size(processor)).to(device),) for rows in _PROBES]
        run = compile_for(network, probes, device, _distance, precision=precision, engine=engine, cache=cache)
        self._forward = Forward(run, device, precision)

    @classmethod
    def load(
        cls, source: str | Path, device: str = "auto", precision: Precision = "float32", engine: Engine = "auto"
    ) -> Self:
        """Load a checkpoint directory or hub name. Raises `CheckpointError` as `open_checkpoint` does.

        Vectors of another precision than float32 are another version's (`<version>+bfloat16`): a query and a catalog
        that were embedded differently are refused like those of different weights.
        """
        path, manifest = open_checkpoint(source, "encoder")
        model, processor = ImageEncoder.load(path), AutoImageProcessor.from_pretrained(path)
        version = manifest.version if precision == "float32" else f"{manifest.version}+{precision}"
        return cls(model, processor, version, pick_device(device), precision, engine, path)

    def embed(self, images: Sequence[Image.Image], batch: int = _BATCH) -> NDArray[np.float32]:
        """Unit vectors of RGB pictures of any size; float32, (n, dimension)."""
        chunks = (images[start : start + batch] for start in range(0, len(images), batch))
        return self._joined(chunks, lambda chunk: model_input(chunk, self.processor))

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Unit vectors of pictures that were prepared and resized before; uint8, (n, height, width, 3)."""
        chunks = (pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH))
        return self._joined(chunks, lambda chunk: normalise(to_unit(chunk), self.processor))

    def embed_each(
        self, groups: Iterable[Group], load: Callable[[Group], tuple[Tag, Sequence[Image.Image]]]
    ) -> Iterator[tuple[Tag, NDArray[np.float32]]]:
        """Vectors of groups of pictures, each group a batch; the next ones are loaded meanwhile.

        Args:
            groups: whatever `load` takes.
            load: called in other threads: a group → what is wanted back with its vectors, and its RGB pictures.
        """

        def prepare(group: Group) -> tuple[Tag, list[Inputs]]:
            tag, images = load(group)
            return tag, [(model_input(images, self.processor),)] if images else []

        for tag, outputs in self._forward.each(groups, prepare):
            yield tag, self._vectors(outputs)

    def _joined(self, chunks: Iterable[Any], make: Callable[[Any], Tensor]) -> NDArray[np.float32]:
        made = self._forward.each(chunks, lambda chunk: (None, [(make(chunk),)]))
        return self._vectors([outputs for _, batches in made for outputs in batches])

    def _vectors(self, batches: Sequence[Outputs]) -> NDArray[np.float32]:
        return np.concatenate([np.zeros((0, self.dimension), np.float32), *(vectors.numpy() for (vectors,) in batches)])


def _distance(original: Outputs, converted: Outputs) -> float:
    """The largest distance of two unit vectors of one picture: 1e-3 is a cosine of 0.9999995."""
    return float((original[0] - converted[0]).norm(dim=1).max())
