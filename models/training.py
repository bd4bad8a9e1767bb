"""The training loop that detector, classifier and encoder share: AdamW, one-cycle, selection by a validation metric."""

import copy
import math
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from models.config import TrainerConfig
from models.device import autocast, pick_device
from models.errors import TrainingError
from models.progress import Progress

_LOG_EVERY: Final = 20  # steps: a point of the loss curve
_FLOOR: Final = 0.01  # share of the peak learning rate with which the one-cycle schedule starts and ends


def fit(
    model: nn.Module,
    config: TrainerConfig,
    batches: Iterator[Any],
    loss: Callable[[Any], Tensor],
    evaluate: Callable[[], dict[str, Any]],
    select: str,
    progress: Progress,
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

    Returns:
        The metrics of the weights that were kept, with `step`.

    Raises:
        TrainingError: a loss is not finite.
    """
    optimiser = torch.optim.AdamW(_groups(model, config.weight_decay), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: one_cycle(step, config.steps, config.warmup))
    device = pick_device(config.device)
    marks = {round(config.steps * (i + 1) / config.evaluations) for i in range(config.evaluations)}
    best: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    model.train()
    for step in range(1, config.steps + 1):
        with autocast(device, config.precision):
            value = loss(next(batches))
        _check(value, step)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()
        schedule.step()
        if step % _LOG_EVERY == 0 or step == 1:
            progress("step", step=step, loss=value.item(), learning_rate=schedule.get_last_lr()[0])
        if step in marks:
            metrics = {"step": step, **_evaluated(model, evaluate)}
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


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def _evaluated(model: nn.Module, evaluate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    model.eval()
    with torch.no_grad():
        metrics = evaluate()
    model.train()
    return metrics


def _check(value: Tensor, step: int) -> None:
    if not torch.isfinite(value):
        raise TrainingError(f"loss is {value.item()} at step {step}: lower learning_rate or clip, or look at the data")
