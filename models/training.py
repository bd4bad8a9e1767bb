"""The training loop of detector, classifier and encoder: AdamW or Muon, one-cycle, selection by a validation metric."""

import copy
import math
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, Final

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from models.averaging import WeightAverage
from models.config import TrainerConfig
from models.device import autocast, pick_device
from models.errors import TrainingError
from models.ranks import ALONE, Ranks

_LOG_EVERY: Final = 20  # steps: a point of the loss curve
_FLOOR: Final = 0.01  # share of the peak learning rate with which the one-cycle schedule starts and ends


def fit(
    model: nn.Module,
    config: TrainerConfig,
    batches: Iterator[Any],
    loss: Callable[[Any], Tensor],
    evaluate: Callable[[], dict[str, Any]],
    select: str,
    progress: Callable[..., None],
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Train in place and leave the weights of the best evaluation in `model`.

    Args:
        model: already on its device.
        config: steps, learning rate, precision and so on.
        batches: endless; one item per step.
        loss: scalar loss of one item, called under autocast. It moves the item to the device itself.
        evaluate: metrics on the validation set, called with the model in evaluation mode, without gradients.
        select: name of the metric by which the best weights are chosen; higher is better.
        progress: gets the events `step` (loss, learning rate) and `evaluation` (the metrics).
        ranks: of the processes that train together; `loss` is then of the whole batch (`Ranks.gather`).

    Returns:
        The metrics of the weights that were kept, with `step`.

    Raises:
        TrainingError: a loss is not finite.
    """
    optimisers = _optimisers(model, config)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: one_cycle(step, config.steps, config.warmup))
        for optimiser in optimisers
    ]
    device = pick_device(config.device)
    marks = {round(config.steps * (i + 1) / config.evaluations) for i in range(config.evaluations)}
    average = WeightAverage(model, config.ema) if config.ema else None
    best: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    model.train()
    for step in range(1, config.steps + 1):
        with autocast(device, config.precision):
            value = loss(next(batches))
        _check(value, step)
        _backward(model, value, config.clip, ranks)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        if average:
            average.update()
        if step % _LOG_EVERY == 0 or step == 1:
            progress("step", step=step, loss=value.item(), learning_rate=schedules[0].get_last_lr()[0])
        if step in marks:
            with average.in_place() if average else nullcontext():
                metrics = {"step": step, **ranks.agreed(lambda: _evaluated(model, evaluate))}
                progress("evaluation", **metrics)
                if not best or metrics[select] >= best[select]:  # of equals the later one: it is surer
                    best, weights = metrics, copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    model.eval()
    return best


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, so that one configuration on one machine gives one result."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # libraries below draw from the global state
    torch.manual_seed(seed)


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate: a linear rise over the first share `warmup`, then a cosine fall (Smith 2018)."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return _FLOOR + (1 - _FLOOR) * step / rise
    done = min(1.0, (step - rise) / max(1, steps - rise))
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def _optimisers(model: nn.Module, config: TrainerConfig) -> list[torch.optim.Optimizer]:
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


def _backward(model: nn.Module, value: Tensor, clip: float, ranks: Ranks) -> None:
    """Leave the clipped gradient of a loss in `model`, the same in all processes."""
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(value)
    ranks.average_gradients(model)
    nn.utils.clip_grad_norm_(model.parameters(), clip)


def _evaluated(model: nn.Module, evaluate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    model.eval()
    with torch.no_grad():
        metrics = evaluate()
    model.train()
    return metrics


def _check(value: Tensor, step: int) -> None:
    if not torch.isfinite(value):
        raise TrainingError(f"loss is {value.item()} at step {step}: lower learning_rate or clip, or look at the data")
