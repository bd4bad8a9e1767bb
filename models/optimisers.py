"""What turns gradients into steps: AdamW or Muon, and the one-cycle schedule."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models.config import TrainerConfig

_FLOOR: Final = 0.01  # share of the peak learning rate with which the one-cycle schedule starts and ends
_COLOURS: Final = 3  # channels of a picture


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate: a linear rise over the first share `warmup`, then a cosine fall (Smith 2018)."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return _FLOOR + (1 - _FLOOR) * step / rise
    done = min(1.0, (step - rise) / max(1, steps - rise))
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def build_optimisers(model: nn.Module, config: TrainerConfig) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or for what is left when Muon takes the weights of linear layers and convolutions.

    Muon orthogonalises the update of a matrix, so that all its directions learn (Jordan et al. 2024); with the update's
    size matched to AdamW's (Liu et al. 2025) both use the same learning rate. Embeddings are left to AdamW, those of
    patches too.
    """
    trained = {id(parameter): parameter for parameter in model.parameters() if parameter.requires_grad}
    taken = _weights(model, trained) if config.optimiser == "muon" else {}
    others = [parameter for key, parameter in trained.items() if key not in taken]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)]
    if taken:
        optimisers.append(MatrixMuon(list(taken.values()), config.learning_rate, config.weight_decay))
    return optimisers


def _weights(model: nn.Module, trained: Mapping[int, nn.Parameter]) -> dict[int, nn.Parameter]:
    """Those that Muon takes, by identity: layers may share them."""
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    dense = [layer for layer in convolutions if layer.groups == 1 and not _embeds_patches(layer)]
    return {id(layer.weight): trained[id(layer.weight)] for layer in [*linear, *dense] if id(layer.weight) in trained}


def _embeds_patches(layer: nn.Conv2d) -> bool:
    """Whether a convolution is a transformer's first layer: pixels in, and no two windows overlap."""
    return layer.in_channels <= _COLOURS and layer.stride == layer.kernel_size


class MatrixMuon(torch.optim.Muon):
    """Muon that takes a convolution's weight for a matrix too: a row per output channel.

    Args:
        weights: (outputs, inputs) or (outputs, inputs, height, width).
        learning_rate: of each step, unless the parameter group says otherwise.
        weight_decay: decoupled, as AdamW's.
    """

    def __init__(self, weights: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        self._weights = weights
        matrices = [nn.Parameter(weight.detach().flatten(1).clone()) for weight in weights]
        super().__init__(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """See `torch.optim.Muon`. Its matrices are copies: the weights of a convolution may lie otherwise in memory."""
        pairs = list(zip(self._weights, self.param_groups[0]["params"], strict=True))
        for weight, matrix in pairs:
            matrix.copy_(weight.flatten(1))
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        loss = super().step(closure)  # type: ignore[no-untyped-call]
        for weight, matrix in pairs:
            weight.copy_(matrix.view_as(weight))
        return loss
