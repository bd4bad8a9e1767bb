"""What turns gradients into steps: AdamW or Muon, and the one-cycle schedule."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from models.config import TrainerConfig
from models.device import computes_in_bfloat16

_FLOOR: Final = 0.01  # share of the peak learning rate with which the one-cycle schedule starts and ends
_COLOURS: Final = 3  # channels of a picture
_MOMENTUM: Final = 0.95
_NEWTON_SCHULZ: Final = (3.4445, -4.775, 2.0315)  # Jordan et al. 2024: steepest at zero
_ROUNDS: Final = 5
_LEAST_NORM: Final = 1e-7
_ADAMW_SIZE: Final = 0.2  # root mean square of an update of AdamW (Liu et al. 2025)


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
        optimisers.append(Muon(list(taken.values()), config.learning_rate, config.weight_decay))
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


class Muon(torch.optim.Optimizer):
    """Steps of unit size in every direction of a matrix (Jordan et al. 2024, with Nesterov momentum).

    As `torch.optim.Muon`, which takes matrices only and computes in bfloat16 wherever it runs: emulated, as on a CPU
    without such instructions, that takes fifteen to twenty times as long as float32.

    Args:
        weights: (outputs, inputs) or (outputs, inputs, height, width), the latter a matrix with a row per output.
        learning_rate: of each step, unless the parameter group says otherwise.
        weight_decay: decoupled, as AdamW's.
    """

    def __init__(self, weights: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step along the gradients; returns the loss that a `closure` computes first."""
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    update = orthogonal(self._ahead(weight.grad.flatten(1), self.state[weight]))
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    size = _ADAMW_SIZE * math.sqrt(max(update.shape))
                    weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * size)
        return loss

    @staticmethod
    def _ahead(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        """The gradient together with its running mean, which takes it in first."""
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        mean: Tensor = state["momentum_buffer"].lerp_(gradient, 1 - _MOMENTUM)
        return gradient.lerp(mean, _MOMENTUM)


def orthogonal(matrix: Tensor) -> Tensor:
    """About the nearest matrix whose singular values are all one, as Muon's authors iterate towards it.

    Five rounds leave most singular values within a third of one, which is good enough and needs no decomposition.

    Args:
        matrix: (rows, columns), float32.

    Returns:
        (rows, columns), in bfloat16 where the device computes in it.
    """
    kind = torch.bfloat16 if computes_in_bfloat16(matrix.device, "auto") else torch.float32
    wide = matrix.to(kind) if matrix.shape[0] <= matrix.shape[1] else matrix.T.to(kind)
    wide = wide / wide.norm().clamp(min=_LEAST_NORM)
    linear, cubic, quintic = _NEWTON_SCHULZ
    for _ in range(_ROUNDS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic), wide, beta=linear)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
