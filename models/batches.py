"""Batches by the number of their step, so that a training can go on at any of them."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset  # noqa: TID253

MakeBatch = Callable[[int], Any]
"""Number of a step, from 0 → its batch, always the same one."""


class Batches:
    """The batches of a training, endless."""

    def __init__(self, make: MakeBatch, workers: int = 0) -> None:
        """`workers`: processes that make batches ahead; 0 makes each when it is asked for."""
        self.make = make
        self.workers = workers

    def starting(self, step: int) -> Iterator[Any]:
        """The batches of `step` and of all that follow."""
        return self.of(itertools.count(step))

    def of(self, steps: Iterable[int]) -> Iterator[Any]:
        """The batches of some steps, in their order."""
        if not self.workers:
            return map(self.make, steps)
        loader = DataLoader(
            _Made(self.make), batch_size=None, sampler=steps, num_workers=self.workers, collate_fn=_as_it_is
        )
        return iter(loader)

    def state_dict(self) -> dict[str, Any]:
        """What the batches depend on besides their numbers; nothing, mostly."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take in what `state_dict` gave."""


class _Made(Dataset[Any]):
    """What a loader's workers ask for batches."""

    def __init__(self, make: MakeBatch) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Any:
        return self._make(step)


def _as_it_is(batch: Any) -> Any:
    return batch
