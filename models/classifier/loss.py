"""Loss of the classifier: cross entropy that does not learn by heart what a shop filed wrongly."""

from typing import Final

import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

_MEMORY: Final = 0.7  # of a row's earlier predictions, at each look at it
_LEAST: Final = 1e-4  # keeps the logarithm finite


class EarlyLearning(nn.Module):
    """Cross entropy with early-learning regularisation (Liu et al. 2020).

    A network learns the labels that follow a pattern first and the wrong ones by heart later. A running mean of the
    predictions for each row remembers what was learned first, and the added term keeps the network near it. The memory
    is part of the state, so a training that goes on from a state goes on with it.
    """

    targets: Tensor  # (rows, classes), running mean of predictions

    def __init__(self, rows: int, classes: int, strength: float, smoothing: float) -> None:
        """`strength` of the regularisation; 0 is plain cross entropy."""
        super().__init__()
        self._strength = strength
        self._smoothing = smoothing
        self.register_buffer("targets", torch.zeros(rows, classes))

    def forward(self, logits: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        """Mean loss of a batch.

        Args:
            logits: (n, classes), float32.
            labels: (n,) as the shop files them.
            rows: (n,) positions in the training set.
        """
        loss = F.cross_entropy(logits, labels, label_smoothing=self._smoothing)
        if not self._strength:
            return loss
        predicted = logits.softmax(1)
        self.targets[rows] = _MEMORY * self.targets[rows] + (1 - _MEMORY) * predicted.detach()
        agreement = (predicted * self.targets[rows]).sum(1)
        return loss + self._strength * torch.log((1 - agreement).clamp(min=_LEAST)).mean()
