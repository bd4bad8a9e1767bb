"""Dense supervision of a two-stage detection transformer's proposals: every object teaches several feature cells.

One-to-one matching gives each object one query, a weak signal for a backbone that starts from nothing. A second,
one-to-many assignment on the encoder's proposals (Co-DETR, Zong et al. 2023; centres as in FCOS and ATSS) lets it see
boxes in the first hundred steps. Inference does not change.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torchvision.ops import box_convert, generalized_box_iou_loss, sigmoid_focal_loss  # noqa: TID253

from models.errors import ConfigError

_CELLS_PER_OBJECT: Final = 4.0  # an object belongs to the feature level on which its side is this many cells
_LEVEL_PENALTY: Final = 0.5  # cost of being one level (a factor of two) off, in units of the object's side
_L1_WEIGHT, _GIOU_WEIGHT = 5.0, 2.0  # as in the one-to-one loss


def dense_loss(outputs: Any, labels: Sequence[Mapping[str, Tensor]], cells: Tensor, per_object: int) -> Tensor:
    """Focal loss of every proposal's classes, L1 and GIoU loss of the boxes of the assigned ones.

    Args:
        outputs: of the model; uses `enc_outputs_class` (n, cells, classes) and `enc_outputs_coord_logits`
            (n, cells, 4: the logits of a relative centre, width and height).
        labels: per picture `class_labels` (m,) and `boxes` (m, 4), relative centre, width, height.
        cells: see `grid`.
        per_object: cells that each object is assigned to.

    Raises:
        ConfigError: the model makes no proposals.
    """
    if getattr(outputs, "enc_outputs_class", None) is None:
        raise ConfigError("dense: this architecture has no encoder proposals to supervise, set it to 0")
    scores = outputs.enc_outputs_class.float()
    boxes = outputs.enc_outputs_coord_logits.float().sigmoid()
    target = torch.zeros_like(scores)
    total = scores.new_zeros(())
    positives = 0
    for row, truth in enumerate(labels):
        owner = assign(cells, truth["boxes"], per_object)
        chosen = owner >= 0
        mine = owner[chosen]
        target[row, chosen, truth["class_labels"][mine]] = 1.0
        found, wanted = boxes[row, chosen], truth["boxes"][mine]
        distance = (found - wanted).abs().sum()
        first, second = (box_convert(side, "cxcywh", "xyxy") for side in (found, wanted))
        total = total + _L1_WEIGHT * distance + _GIOU_WEIGHT * generalized_box_iou_loss(first, second).sum()
        positives += len(mine)
    total = total + sigmoid_focal_loss(scores, target, reduction="sum")
    result: Tensor = total / max(1, positives)
    return result


def grid(height: int, width: int, strides: Sequence[int]) -> Tensor:
    """Relative centre and side of every feature cell, (cells, 3), level by level and row by row.

    Args:
        height, width: of the input, px.
        strides: px per cell of each level.
    """
    levels = []
    for stride in strides:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
        side = torch.full_like(x, (rows * columns) ** -0.5)
        levels.append(torch.stack([x, y, side], 2).view(-1, 3))
    return torch.cat(levels)


def assign(cells: Tensor, boxes: Tensor, per_object: int) -> Tensor:
    """Object of each cell, or -1: (cells,).

    Each object takes the `per_object` cells inside it that are nearest to its middle and to its size, and at least its
    nearest one. A cell that several objects want goes to the one that it fits best.
    """
    if not len(boxes):
        return torch.full((len(cells),), -1, dtype=torch.long, device=cells.device)
    offset = (cells[:, None, :2] - boxes[None, :, :2]) / boxes[None, :, 2:].clamp(min=1e-6)
    size = (boxes[:, 2] * boxes[:, 3]).clamp(min=1e-12).sqrt()
    level = torch.log2(size[None] / (_CELLS_PER_OBJECT * cells[:, None, 2])).abs()
    cost = offset.norm(dim=2) + _LEVEL_PENALTY * level
    outside = (offset.abs() >= 0.5).any(2)
    inside_cost = cost.masked_fill(outside, torch.inf)
    nearest = cost.argmin(0)
    columns = torch.arange(len(boxes), device=cells.device)
    inside_cost[nearest, columns] = cost[nearest, columns]
    limit = inside_cost.topk(min(per_object, len(cells)), dim=0, largest=False).values[-1]
    inside_cost = inside_cost.masked_fill(inside_cost > limit, torch.inf)
    best, owner = inside_cost.min(1)
    return torch.where(best.isfinite(), owner, -1)
