"""What turns gradients into steps: AdamW or Muon, and the one-cycle schedule."""

import math
from typing import Final

import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models.config import TrainerConfig

_FLOOR: Final = 0.01  # share of the peak learning rate with which the one-cycle schedule starts and ends


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate: a linear rise over the first share `warmup`, then a cosine fall (Smith 2018)."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return _FLOOR + (1 - _FLOOR) * step / rise
    done = min(1.0, (step - rise) / max(1, steps - rise))
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def build_optimisers(model: nn.Module, config: TrainerConfig) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or for what is left when Muon takes the weights of linear layers.

    Muon orthogonalises the update of a matrix, so that all its directions learn (Jordan et al. 2024); with the update's
    size matched to AdamW's (Liu et al. 2025) both use the same learning rate.
    """
    trained = {id(parameter): parameter for parameter in model.parameters() if parameter.requires_grad}
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    matrices = [layer.weight for layer in layers if config.optimiser == "muon" and id(layer.weight) in trained]
    chosen = {id(matrix) for matrix in matrices}
    others = [parameter for key, parameter in trained.items() if key not in chosen]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)]
    if matrices:
        optimisers.append(
            torch.optim.Muon(
                matrices,
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimisers
