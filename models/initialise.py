"""Start values for models built from a configuration: transformers' fixed ones do not fit narrow layers.

transformers draws most weights with one deviation (`initializer_range`, 0.01 or 0.02), meant for models that are loaded
rather than trained, and in the RT-DETR family it draws the *scales of batch norms* around 0 with it, so that features
vanish on their way through the neck: a tiny detector then learned where boxes usually are and nothing else.
"""

from typing import Final

import torch  # noqa: TID253
from torch import nn  # noqa: TID253

_NARROWEST: Final = 16  # outputs of a few numbers (box offsets) are meant to start small
_TOLERANCE: Final = 0.3  # relative; a weight whose deviation is this near to the fixed one was drawn with it


@torch.no_grad()
def fit_to_width(model: nn.Module, fixed: float | None) -> int:
    """Draw again, with Glorot's deviation, what was drawn with the deviation `fixed`; batch norms start as identity.

    Nothing is done for a family that has no fixed deviation (None): a ResNet starts well by itself.

    Weights that were set in another way (zeros, Glorot already, pretrained) are left alone.

    Returns:
        Number of layers that were changed.
    """
    changed = 0
    if not fixed:
        return changed
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and abs(module.weight.mean().item()) < fixed:
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.Linear | nn.Conv2d) and _was_drawn_with(fixed, module.weight):
            nn.init.xavier_uniform_(module.weight)
        else:
            continue
        changed += 1
    return changed


def _was_drawn_with(fixed: float, weight: torch.Tensor) -> bool:
    return min(weight.shape[:2]) >= _NARROWEST and abs(weight.std().item() / fixed - 1) < _TOLERANCE
