"""One vector from several views of a picture: the whole of it, and its middle ever closer.

A crop of a photo cuts garments closer than a shop does, or less close; views at several scales meet somewhere. Image
retrieval pools descriptors of one picture at several sizes likewise (Radenović et al. 2018, arXiv:1711.02512).
"""

from collections.abc import Sequence
from typing import Any

import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253


class MultiScale(nn.Module):
    """An encoder, seen through centred windows of its input.

    Args:
        encoder: normalised input (n, 3, height, width) → unit vectors (n, dimension).
        scales: sides of the windows as shares of the input's, in (0, 1]; each is enlarged to the whole input. Every one
            of them costs as much as another picture.
    """

    def __init__(self, encoder: nn.Module, scales: Sequence[float]) -> None:
        super().__init__()
        self.encoder = encoder
        self.scales = tuple(scales)

    def extra_repr(self) -> str:
        """What tells two of them apart that share their weights."""
        return f"scales={self.scales}"

    def forward(self, images: Tensor) -> Tensor:
        """Normalised input → unit vectors, as the encoder's own."""
        windows = torch.cat([_middle(images, scale) for scale in self.scales])  # one pass: half the time for one query
        return F.normalize(self.encoder(windows).unflatten(0, (len(self.scales), -1)).sum(0), dim=1)


def at_scales(encoder: nn.Module, processor: Any) -> nn.Module:
    """The encoder at the scales that its image processor carries as `scales`; itself where there is only the whole."""
    scales = getattr(processor, "scales", None) or [1.0]
    return encoder if list(scales) == [1.0] else MultiScale(encoder, scales)


def _middle(images: Tensor, scale: float) -> Tensor:
    size = [int(side) for side in images.shape[-2:]]  # numbers also for a tracer
    height, width = (max(1, round(side * scale)) for side in size)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    window = images[..., top : top + height, left : left + width]
    return window if window.shape == images.shape else F.interpolate(window, size, mode="bilinear")
