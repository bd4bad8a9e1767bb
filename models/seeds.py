"""Randomness as a function of the step, not of the past: a training that goes on draws what it would have drawn."""

import random
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import torch  # noqa: TID253

_BITS: Final = 2**32  # of a seed; numpy takes no more


class Stream(IntEnum):
    """What random numbers are for. Streams are independent of each other."""

    LIBRARIES = 0  # dropout, drop-path, and whatever else draws from global state
    AUGMENTATION = 1
    ORDER = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step: its number, from 0, and the source of what is drawn in it, on the model's device."""

    number: int
    draw: torch.Generator


def derived(stream: Stream, seed: int, step: int = 0, rank: int = 0) -> int:
    """The seed, 32 bits, of one stream in one step of one process (hashed by `np.random.SeedSequence`)."""
    return int(np.random.SeedSequence((stream, seed, step, rank)).generate_state(1)[0])


def begin(seed: int, step: int, rank: int, device: torch.device) -> Step:
    """Seed everything for a step of the process `rank`."""
    seed_everything(derived(Stream.LIBRARIES, seed, step, rank))
    return Step(step, torch.Generator(device).manual_seed(derived(Stream.AUGMENTATION, seed, step, rank)))


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, so that one configuration on one machine gives one result."""
    random.seed(seed)
    np.random.seed(seed % _BITS)  # noqa: NPY002  # libraries below draw from the global state
    torch.manual_seed(seed)
