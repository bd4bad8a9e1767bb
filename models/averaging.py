"""An exponential moving average of a model's weights (Polyak and Juditsky 1992), often a better model than the last."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch  # noqa: TID253
from torch import nn  # noqa: TID253

_WARM: Final = 10  # the first averages forget the random start sooner


class WeightAverage:
    """Follows `model`: after step t with decay min(`decay`, (1 + t) / (10 + t)). Counters and the like are copied."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._decay = decay
        self._steps = 0
        self._weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take one step of the model in."""
        self._steps += 1
        share = 1 - min(self._decay, (1 + self._steps) / (_WARM + self._steps))
        for name, tensor in self._model.state_dict().items():
            if tensor.is_floating_point():
                self._weights[name].lerp_(tensor, share)
            else:
                self._weights[name].copy_(tensor)

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` takes in again."""
        return {"steps": self._steps, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another average was."""
        self._steps = state["steps"]
        for name, tensor in state["weights"].items():
            self._weights[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the averaged weights while the context is open."""
        own = {name: tensor.detach().clone() for name, tensor in self._model.state_dict().items()}
        self._model.load_state_dict(self._weights)
        try:
            yield
        finally:
            self._model.load_state_dict(own)
