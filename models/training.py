"""The training loop of detector, classifier and encoder: steps, selection by a validation metric, states to go on from.

What a step draws depends on (seed, step, process) alone (`models.seeds`), so that weights, optimiser and the best
weights so far are the whole state.
"""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from models.averaging import WeightAverage
from models.batches import Batches
from models.config import TrainerConfig
from models.device import autocast, pick_device
from models.errors import ConfigError, TrainingError
from models.optimisers import build_optimisers, one_cycle
from models.pace import Pace
from models.ranks import ALONE, Ranks
from models.seeds import Step, begin
from models.states import State, States

_LOG_EVERY: Final = 20  # steps: a point of the loss curve


def fit(
    model: nn.Module,
    config: TrainerConfig,
    batches: Batches,
    loss: Callable[[Any, Step], Tensor],
    evaluate: Callable[[], dict[str, Any]],
    select: str,
    progress: Callable[..., None],
    states: States,
    ranks: Ranks = ALONE,
    watch: Callable[[], dict[str, float]] = dict,
) -> dict[str, Any]:
    """Train in place, from the start or from the newest state, and leave the weights of the best evaluation in `model`.

    Args:
        model: already on its device.
        config: steps, learning rate, precision and so on.
        batches: one per step.
        loss: scalar loss of a batch, called under autocast. It moves the batch to the device itself.
        evaluate: metrics on the validation set, called with the model in evaluation mode, without gradients.
        select: name of the metric by which the best weights are chosen; higher is better.
        progress: gets the events `step` (loss, learning rate, …) and `evaluation` (the metrics).
        states: where this training is saved now and then.
        ranks: of the processes that train together; `loss` is then of the whole batch (`Ranks.gather`), or of the own
            share if the whole loss is the mean of the shares'.
        watch: more numbers for the event `step`.

    Returns:
        The metrics of the weights that were kept, with `step`, `rows_per_second` and `data_wait`.

    Raises:
        TrainingError: a loss or gradient is not finite, or a state cannot be written.
    """
    training = _Training(model, config, batches, select)
    training.restore(states)
    device = pick_device(config.device)
    marks = {round(config.steps * (i + 1) / config.evaluations) for i in range(config.evaluations)}
    rows = batches.starting(training.step)
    model.train()
    while training.step < config.steps and not 0 < config.patience <= training.worse:
        with training.pace.waiting():
            batch = next(rows)
        step = begin(config.seed, training.step, ranks.number, device)
        with autocast(device, config.precision):
            value = loss(batch, step)
        norm = _backward(model, value, config.clip, ranks)
        _check(value, norm, training.step + 1, states)
        training.update()
        training.pace.step_done()
        if training.step % _LOG_EVERY == 0 or training.step == 1:
            facts = {"loss": ranks.mean(value), "gradient_norm": norm.item(), "learning_rate": training.learning_rate}
            progress("step", step=training.step, **facts, **training.pace.recent(config.batch), **watch())
        if training.step in marks:
            progress("evaluation", **training.measure(lambda: ranks.agreed(lambda: _evaluated(model, evaluate))))
        if states.due:
            states.save(training.state())
    model.load_state_dict(training.weights)
    model.eval()
    return {**training.best, **training.pace.total(config.batch)}


def prepare(network: Any, config: TrainerConfig) -> None:
    """Switch on what the configuration asks of a transformers model. Raises `ConfigError` when it cannot be had."""
    if config.gradient_checkpointing:
        try:
            # under its older name before transformers 5.23
            enable = getattr(network, "activation_checkpointing_enable", None) or network.gradient_checkpointing_enable
            enable()
        except ValueError as error:
            raise ConfigError(f"gradient_checkpointing: {error}") from error
    if config.compile:
        network.compile()


class _Training:
    """All that changes from step to step."""

    def __init__(self, model: nn.Module, config: TrainerConfig, batches: Batches, select: str) -> None:
        self._model = model
        self._config = config
        self._batches = batches
        self._select = select
        self._optimisers = build_optimisers(model, config)
        self._average = WeightAverage(model, config.ema) if config.ema else None
        self.step = 0
        self.best: dict[str, Any] = {}
        self.weights: dict[str, Any] = {}
        self.worse = 0  # evaluations in a row without a better one
        self.pace = Pace()

    @property
    def learning_rate(self) -> float:
        """Of the step that is done next, or was done last while `step` counts it."""
        config = self._config
        return config.learning_rate * one_cycle(self.step, config.steps, config.warmup)

    def update(self) -> None:
        """Take one step along the gradient."""
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate
            optimiser.step()
        self.step += 1
        if self._average:
            self._average.update()

    def measure(self, evaluate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Metrics of the present weights (their average, if there is one), which are kept if they are the best."""
        with self._average.in_place() if self._average else nullcontext():
            metrics = {"step": self.step, **evaluate()}
            self._choose(metrics)
        return metrics

    def _choose(self, metrics: dict[str, Any]) -> None:
        """Keep the present weights if they are the best so far; of equals the later ones: they are surer."""
        better = not self.best or metrics[self._select] > self.best[self._select]
        self.worse = 0 if better else self.worse + 1
        if better or metrics[self._select] == self.best[self._select]:
            self.best, self.weights = metrics, copy.deepcopy(self._model.state_dict())

    def state(self) -> State:
        """Everything from which `restore` goes on."""
        tensors = {
            "model": self._model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "average": self._average.state_dict() if self._average else {},
            "best": self.weights,
            "batches": self._batches.state_dict(),
        }
        return State(self.step, tensors, {"best": self.best, "worse": self.worse, "pace": self.pace.state()})

    def restore(self, states: States) -> None:
        """Go on from the newest state, if there is one, and let it go: it is several times as large as the network."""
        newest, states.newest = states.newest, None
        if newest is None:
            return
        self.step, tensors, facts = newest.step, newest.tensors, newest.facts
        self._model.load_state_dict(tensors["model"])
        for optimiser, saved in zip(self._optimisers, tensors["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        if self._average:
            self._average.load_state_dict(tensors["average"])
        self._batches.load_state_dict(tensors["batches"])
        self.best, self.worse, self.weights = facts["best"], facts["worse"], tensors["best"]
        self.pace = Pace(*facts["pace"])


def _backward(model: nn.Module, value: Tensor, clip: float, ranks: Ranks) -> Tensor:
    """Leave the clipped gradient of a loss in `model`, the same in all processes; returns its norm before."""
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(value)
    ranks.average_gradients(model)
    return nn.utils.clip_grad_norm_(model.parameters(), clip)


def _evaluated(model: nn.Module, evaluate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    model.eval()
    with torch.no_grad():
        metrics = evaluate()
    model.train()
    return metrics


def _check(value: Tensor, norm: Tensor, step: int, states: States) -> None:
    if not torch.isfinite(value.detach() + norm):
        raise TrainingError(
            f"loss is {value.item()} and its gradient {norm.item()} at step {step}: lower learning_rate or clip, or "
            f"look at the data; {states.last}"
        )
