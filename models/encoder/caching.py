"""Gradient caching (Gao et al. 2021): batches of thousands in the memory of a few pairs.

The loss needs the vectors of the whole batch, but the activations behind them are only needed while a few pairs' own
gradients are computed. So they are dropped, and computed once more in the backward pass, a few pairs at a time.
"""

from collections.abc import Callable
from typing import Final

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.utils.checkpoint import checkpoint  # noqa: TID253

EmbedPairs = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""Anchors and positives (n, height, width, 3), source of what is drawn → vectors (2, n, d)."""

_SEEDS: Final = 2**62


def cached(embed: EmbedPairs, anchors: Tensor, positives: Tensor, micro_batch: int, draw: torch.Generator) -> Tensor:
    """Vectors (2, n, d) of a batch; activations of `micro_batch` pairs are held at once.

    Gradients are those of `embed` on the same parts of the batch: dropout, drop-path and augmentation draw the same
    numbers again. The backward pass costs one more forward pass, and reaches `embed`'s parameters by `backward` only,
    not by `torch.autograd.grad`: the reentrant checkpoint runs the first pass without a graph, while the other kind was
    measured to keep 25 MB a pair of a Swin.
    """
    wanted = torch.empty(0, requires_grad=True)  # the reentrant kind asks that an input has a gradient

    def part(a: Tensor, p: Tensor, seed: int, _: Tensor) -> Tensor:
        return embed(a, p, torch.Generator(draw.device).manual_seed(seed))

    sides = list(zip(torch.split(anchors, micro_batch), torch.split(positives, micro_batch), strict=True))
    seeds = torch.randint(_SEEDS, (len(sides),), generator=draw, device=draw.device).tolist()
    parts = zip(sides, seeds, strict=True)
    vectors = [checkpoint(part, *side, seed, wanted, use_reentrant=True) for side, seed in parts]
    return torch.cat(vectors, dim=1)
