"""The contrastive loss: in-batch negatives in both directions, in which the same product is never a negative."""

import math
from typing import Final

import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

_LOWEST_TEMPERATURE: Final = 0.01  # CLIP's bound: below it one pair drowns the others


def info_nce(anchors: Tensor, positives: Tensor, labels: Tensor, temperature: Tensor | float) -> Tensor:
    """Symmetric InfoNCE with a mask (van den Oord et al. 2018; both directions as in CLIP).

    Row i of `anchors` belongs to row i of `positives`. A row j ≠ i with the label of i shows the same product: it is
    left out of the denominator, since pushing it away would be wrong.

    Args:
        anchors: unit vectors, (n, d).
        positives: unit vectors, (n, d).
        labels: product of each row, integers, (n,).
        temperature: divides the similarities, > 0.

    Returns:
        Mean over rows and directions, a scalar.
    """
    logits = anchors @ positives.T / temperature
    same = labels[:, None] == labels[None, :]
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = logits.masked_fill(same & ~own, -math.inf)
    target = torch.arange(len(labels), device=labels.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class ContrastiveLoss(nn.Module):
    """`info_nce` with a temperature that may be learned, kept as its logarithm."""

    def __init__(self, temperature: float, *, learned: bool) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learned)

    def forward(self, anchors: Tensor, positives: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch; see `info_nce`."""
        temperature = self.log_temperature.exp().clamp(min=_LOWEST_TEMPERATURE)
        return info_nce(anchors, positives, labels, temperature)
