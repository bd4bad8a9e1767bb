"""Pictures as arrays and tensors: resized for the cache, normalised for the model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from curation.images import trim_ground
from models.augment import CACHE_SCALE
from models.config import TrainerConfig
from models.errors import CheckpointError, ConfigError


def resize(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """The whole picture at a size, its proportions not kept; uint8, (height, width, 3)."""
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=None)
    return np.asarray(small, np.uint8)


def prepare(image: Image.Image, processor: Any) -> Image.Image:
    """What an image processor asks for before resizing: `trim_ground`, carried in its configuration file."""
    return trim_ground(image) if getattr(processor, "trim_ground", False) else image


def cache_size(height: int, width: int) -> tuple[int, int]:
    """Size at which training pictures are kept, (height, width) in px."""
    return round(height * CACHE_SCALE), round(width * CACHE_SCALE)


def to_unit(pixels: NDArray[np.uint8] | Tensor) -> Tensor:
    """uint8 (n, height, width, 3) → float32 in 0-1, (n, 3, height, width)."""
    return torch.as_tensor(pixels).permute(0, 3, 1, 2).float() / 255


def normalise(images: Tensor, processor: Any) -> Tensor:
    """Subtract the mean and divide by the deviation that the image processor names; images in 0-1."""
    mean = images.new_tensor(list(processor.image_mean)).view(1, 3, 1, 1)
    deviation = images.new_tensor(list(processor.image_std)).view(1, 3, 1, 1)
    return (images - mean) / deviation


def input_size(processor: Any) -> tuple[int, int]:
    """(height, width) of the model's input as its image processor says."""
    size = dict(processor.size)
    if size.get("height") and size.get("width"):
        return int(size["height"]), int(size["width"])
    if size.get("shortest_edge"):
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    raise CheckpointError(f"image processor names no input size: {size}")


def refuse_another_size(config: TrainerConfig, processor: Any) -> None:
    """A pretrained network comes with its input size: raises `ConfigError` where a configuration names another one."""
    named = {side: getattr(config, side) for side in ("height", "width") if side in config.model_fields_set}
    height, width = input_size(processor)
    if named.get("height", height) != height or named.get("width", width) != width:
        asked = ", ".join(f"{side} {value}" for side, value in named.items())
        raise ConfigError(f"{asked}: {config.pretrained} takes {height}×{width} px (height × width)")


def model_input(images: Sequence[Image.Image], processor: Any) -> Tensor:
    """RGB pictures → normalised input, without augmentation; float32, (n, 3, height, width)."""
    height, width = input_size(processor)
    pixels = np.stack([resize(prepare(image, processor), height, width) for image in images])
    return normalise(to_unit(pixels), processor)


def random_input(rows: int, height: int, width: int) -> Tensor:
    """Normalised input on which two networks can be compared: shows nothing, but is smooth as pictures are.

    float32, (rows, 3, height, width); the same for the same arguments.
    """
    coarse = torch.randn(rows, 3, 8, 8, generator=torch.Generator().manual_seed(rows))
    return functional.interpolate(coarse, (height, width), mode="bilinear")
