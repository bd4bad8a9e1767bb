"""Losses of pairs: contrast with the rest of the batch, and what it is compared with: triplets, and product ids."""

import math
from typing import Final

import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from models.encoder.config import EncoderConfig

_LOWEST: Final = math.log(0.01)  # of the logarithm of the temperature, CLIP's bound: below, one pair drowns the others


def info_nce(
    anchors: Tensor,
    positives: Tensor,
    labels: Tensor,
    temperature: Tensor | float,
    *,
    both_directions: bool = True,
    positives_apart: bool = True,
    mask: bool = True,
) -> Tensor:
    """InfoNCE with a mask (van den Oord et al. 2018; both directions as in CLIP).

    Row i of `anchors` belongs to row i of `positives`. A row j ≠ i with the label of i shows the same product: it is
    left out of the denominator, since pushing it away would be wrong.

    What is searched are positives: with `positives_apart`, one that looks for its anchor is pushed from the other
    positives too (of the further terms of GTE, Li et al. 2023, the one that helps here).

    Args:
        anchors: unit vectors, (n, d).
        positives: unit vectors, (n, d).
        labels: product of each row, integers, (n,).
        temperature: divides the similarities, > 0.
        both_directions: let positives look for their anchors too.
        positives_apart: positives are negatives of positives; of no effect in one direction.
        mask: leave out rows of the same product.

    Returns:
        Mean over rows and directions, a scalar.
    """
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = labels[:, None] == labels[None, :] if mask else own
    logits = (anchors @ positives.T / temperature).masked_fill(same & ~own, -math.inf)
    target = torch.arange(len(labels), device=labels.device)
    forth = F.cross_entropy(logits, target)
    if not both_directions:
        return forth
    back = logits.T
    if positives_apart:
        back = torch.cat([back, (positives @ positives.T / temperature).masked_fill(same, -math.inf)], dim=1)
    return (forth + F.cross_entropy(back, target)) / 2


def triplet(anchors: Tensor, positives: Tensor, labels: Tensor, margin: float) -> Tensor:
    """One negative for each pair: the next row's thumbnail that shows another product (FaceNet, Schroff et al. 2015).

    Distances are cosine distances. A batch of one product alone has no negative and a loss of 0.
    """
    n = len(labels)
    after = (torch.arange(n, device=labels.device)[:, None] + torch.arange(1, n + 1, device=labels.device)) % n
    other = labels[after] != labels[:, None]
    negatives = positives[after.gather(1, other.int().argmax(1, keepdim=True)).squeeze(1)]
    loss = F.relu((anchors * negatives).sum(1) - (anchors * positives).sum(1) + margin)
    return torch.where(other.any(1), loss, loss.new_zeros(())).mean()


class PairLoss(nn.Module):
    """The configured loss. Its temperature is kept as its logarithm, and may be learned.

    With `matryoshka`, prefixes of the vectors are trained too, each brought to unit length (Kusupati et al. 2022).
    """

    def __init__(self, config: EncoderConfig, products: int) -> None:
        """`products`: number of labels; rows with a negative label are products of their own."""
        super().__init__()
        self._config = config
        self._lengths = sorted({*config.matryoshka, config.dimension})
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(config.temperature)), requires_grad=config.learn_temperature
        )
        classified = config.loss == "classification"
        self.prototypes = nn.Parameter(torch.randn(products, config.dimension)) if classified else None

    @property
    def temperature(self) -> Tensor:
        """What divides the similarities."""
        return self.log_temperature.exp()

    def forward(self, anchors: Tensor, positives: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of a batch over the trained lengths; unit vectors (n, d), labels (n,).

        In float32 whatever the network computes in: bfloat16 knows three digits, and siblings differ in the third.
        """
        with torch.no_grad():
            self.log_temperature.clamp_(min=_LOWEST)  # itself: were its exponential, no gradient would lead it back
        with torch.autocast(anchors.device.type, enabled=False):
            sides = [(shortened(anchors, length), shortened(positives, length)) for length in self._lengths]
            return torch.stack([self._of(*pair, labels) for pair in sides]).mean()

    def _of(self, anchors: Tensor, positives: Tensor, labels: Tensor) -> Tensor:
        config = self._config
        if config.loss == "triplet":
            return triplet(anchors, positives, labels, config.margin)
        if self.prototypes is not None:
            return self._classify(torch.cat([anchors, positives]), torch.cat([labels, labels]), self.prototypes)
        return info_nce(
            anchors,
            positives,
            labels,
            self.temperature,
            both_directions=config.both_directions,
            positives_apart=config.thumbnails_apart,
            mask=config.mask_same_product,
        )

    def _classify(self, vectors: Tensor, labels: Tensor, prototypes: Tensor) -> Tensor:
        """Softmax over product ids with an additive angular margin (ArcFace, Deng et al. 2019)."""
        known = labels >= 0
        prototypes = F.normalize(prototypes[:, : vectors.shape[1]], dim=1)
        cosine = (vectors[known] @ prototypes.T).clamp(-1 + 1e-6, 1 - 1e-6)
        own = F.one_hot(labels[known], len(prototypes)).bool()
        pushed = torch.where(own, torch.cos(torch.acos(cosine) + self._config.margin), cosine)
        return F.cross_entropy(pushed / self.temperature, labels[known]) if known.any() else vectors.sum() * 0


def shortened(vectors: Tensor, length: int) -> Tensor:
    """The first `length` numbers of unit vectors, brought to unit length again."""
    return vectors if length == vectors.shape[1] else F.normalize(vectors[:, :length], dim=1)
