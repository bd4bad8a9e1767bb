"""Augmentation of batches of small pictures as tensors, on whatever device they are. Training only."""

import math
from typing import Final

import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253
from torch import Tensor  # noqa: TID253

from models.config import PictureConfig

CACHE_SCALE: Final = 1.125
"""Pictures are kept this much larger than the model's input, so that crops and rotations lose little sharpness."""

_LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601
_GROUND_TOLERANCE: Final = 0.05  # largest channel difference, 0-1, at which a pixel still is background
_SPLICE: Final = (0.3, 0.7)
"""Where a pair is cut to be joined with another, share of the height or width."""
_SPLICE_ACROSS: Final = 0.7  # share of the cuts that are horizontal: many garments have a left and a right alike
_PLAIN_SHARE: Final = 0.6  # share of the border that must be of one colour before it counts as background


def augment(pixels: Tensor, config: PictureConfig, draw: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Random variants of pictures.

    Args:
        pixels: uint8, (n, height, width, 3), of any size.
        config: how strong.
        draw: source of randomness, on the device of `pixels`.
        size: (height, width) of the result, px.

    Returns:
        float32 in 0-1, (n, 3, height, width).
    """
    with torch.autocast(pixels.device.type, enabled=False):  # bfloat16 has three digits: places would be off by pixels
        images = pixels.permute(0, 3, 1, 2).float() / 255
        if config.ground:
            images = change_ground(images, config.ground, draw)
        images = warp(images, config, draw, size)
        images = change_colour(images, config, draw)
        return erase(images, config, draw) if config.erase else images


def recolour(first: Tensor, second: Tensor, chance: float, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Let the colour channels of some pairs change places, in both pictures alike: a colourway that was never sold.

    A few hundred products teach a model those products; their permutations teach it to compare colours.

    Args:
        first, second: (n, height, width, 3).
        chance: of a pair.
        draw: source of randomness, on their device.
    """
    n = len(first)
    order = torch.rand(n, 3, device=first.device, generator=draw).argsort(1)
    chosen = torch.rand(n, 1, device=first.device, generator=draw) < chance
    order = torch.where(chosen, order, torch.arange(3, device=first.device))
    result = [side.gather(3, order[:, None, None, :].expand(side.shape)) for side in (first, second)]
    return result[0], result[1]


def splice(
    first: Tensor, second: Tensor, labels: Tensor, chance: float, draw: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Let some pairs go on, below or beside a cut, as another pair of the batch: a product that was never sold.

    Crop and thumbnail are cut at the same place, so that what was sewn together in one is so in the other. It is
    CutMix (Yun et al. 2019) of pairs, whose label is not mixed but new.

    Args:
        first, second: (n, height, width, 3).
        labels: product of each pair, (n,); none goes on as its own product.
        chance: of a pair.
        draw: source of randomness, on their device.

    Returns:
        Both sides, and which pairs are new, bool, (n,).
    """
    n, height, width, _ = first.shape
    device = first.device
    partner = torch.randperm(n, device=device, generator=draw)
    chosen = (torch.rand(n, device=device, generator=draw) < chance) & (labels[partner] != labels)
    cut = _SPLICE[0] + (_SPLICE[1] - _SPLICE[0]) * torch.rand(n, 1, 1, device=device, generator=draw)
    across = torch.rand(n, 1, 1, device=device, generator=draw) < _SPLICE_ACROSS
    rows = (torch.arange(height, device=device) / height).view(1, -1, 1)
    columns = (torch.arange(width, device=device) / width).view(1, 1, -1)
    mask = (torch.where(across, rows, columns) >= cut) & chosen.view(n, 1, 1)
    result = [torch.where(mask.unsqueeze(3), side[partner], side) for side in (first, second)]
    return result[0], result[1], chosen


def warp(images: Tensor, config: PictureConfig, draw: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Mirror, rotate and crop, each picture by its own affine map; what comes from outside repeats the border."""
    n = len(images)
    angle = _uniform(n, math.radians(config.rotation), images, draw)
    scale_x, scale_y = (1 - config.zoom * torch.rand(n, device=images.device, generator=draw) for _ in range(2))
    mirror = torch.where(torch.rand(n, device=images.device, generator=draw) < config.flip, -1.0, 1.0)
    shift_x = _uniform(n, 1.0, images, draw) * (1 - scale_x)
    shift_y = _uniform(n, 1.0, images, draw) * (1 - scale_y)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    rows = [mirror * cosine * scale_x, -sine * scale_y, shift_x, mirror * sine * scale_x, cosine * scale_y, shift_y]
    grid = F.affine_grid(torch.stack(rows, 1).view(n, 2, 3), [n, 3, *size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def change_colour(images: Tensor, config: PictureConfig, draw: torch.Generator) -> Tensor:
    """Brightness, contrast, saturation and a colour cast, each by its own factor per picture."""
    n = len(images)
    gain = 1 + _uniform((n, 1, 1, 1), config.jitter, images, draw)
    cast = 1 + _uniform((n, 3, 1, 1), config.cast, images, draw)
    images = images * gain * cast
    grey = (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    images = grey + (images - grey) * (1 + _uniform((n, 1, 1, 1), config.jitter, images, draw))
    mean = grey.mean((2, 3), keepdim=True)
    return (mean + (images - mean) * (1 + _uniform((n, 1, 1, 1), config.jitter, images, draw))).clamp(0, 1)


def erase(images: Tensor, config: PictureConfig, draw: torch.Generator) -> Tensor:
    """Blank one rectangle with a random grey in a share of the pictures (random erasing, Zhong et al. 2020)."""
    n, _, height, width = images.shape

    def span(length: int) -> Tensor:
        side = config.erase_share * torch.rand(n, 1, device=images.device, generator=draw)
        start = torch.rand(n, 1, device=images.device, generator=draw) * (1 - side)
        place = torch.arange(length, device=images.device).view(1, -1) / length
        return (place >= start) & (place < start + side)

    chosen = torch.rand(n, 1, 1, 1, device=images.device, generator=draw) < config.erase
    mask = span(height).view(n, 1, height, 1) & span(width).view(n, 1, 1, width) & chosen
    return torch.where(mask, torch.rand(n, 1, 1, 1, device=images.device, generator=draw), images)


def change_ground(images: Tensor, chance: float, draw: torch.Generator) -> Tensor:
    """Paint the background of pictures whose border is of one colour in another colour."""
    n = len(images)
    border = torch.cat([images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]], 2)
    colour = border.median(2, keepdim=True).values
    plain = ((border - colour).abs().amax(1) < _GROUND_TOLERANCE).float().mean(1) > _PLAIN_SHARE
    chosen = plain & (torch.rand(n, device=images.device, generator=draw) < chance)
    mask = (images - colour.unsqueeze(3)).abs().amax(1, keepdim=True) < _GROUND_TOLERANCE
    new = torch.rand(n, 3, 1, 1, device=images.device, generator=draw)
    return torch.where(mask & chosen.view(n, 1, 1, 1), new, images)


def _uniform(shape: int | tuple[int, ...], reach: float, like: Tensor, draw: torch.Generator) -> Tensor:
    return (torch.rand(shape, device=like.device, generator=draw) * 2 - 1) * reach
