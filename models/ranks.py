"""Several processes that train one model, each on its share of every batch (data parallelism, Li et al. 2020).

`torchrun` starts them, on one machine or on many; `joined` can start them on this one. The loss is that of the whole
batch, since the negatives of a row are all the others: vectors are gathered, and gradients averaged.
"""

import logging
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import torch  # noqa: TID253
import torch.distributed as dist  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from models.errors import ModelsError, TrainingError

log = logging.getLogger(__name__)
T = TypeVar("T")
_LOOPBACK: Final = "lo"
_PATIENCE: Final = timedelta(days=1)
"""Of those that wait while the first one reads, measures or seeks neighbours: torch's half hour may be too short."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among those that train together. Every method is a no-op for one that trains alone."""

    number: int = 0
    count: int = 1
    patient: Any = None  # group of processes that wait long for each other

    def __reduce__(self) -> tuple[type["Ranks"], tuple[int, int]]:
        """A worker that makes batches has a place too, but no part in the group."""
        return Ranks, (self.number, self.count)

    @property
    def first(self) -> bool:
        """Whether this process speaks for all: it measures, reports and writes the checkpoint."""
        return self.number == 0

    def share(self, rows: list[T]) -> list[T]:
        """Own rows of a batch. Every process gets as many, so that up to `count - 1` rows are left out."""
        return rows[self.number : len(rows) - len(rows) % self.count : self.count]

    def gather(self, rows: Tensor) -> Tensor:
        """Rows of all processes, (count · n, …), those of the first on top.

        Gradients flow into own rows, `count`-fold, because `average_gradients` divides by it: the average over the
        processes is then the gradient of a loss that each of them computes of all rows.
        """
        if self.count == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.count)]
        _together(lambda: dist.all_gather(parts, rows.detach().contiguous()))
        parts[self.number] = rows.detach() + self.count * (rows - rows.detach()) if rows.requires_grad else rows
        return torch.cat(parts)

    def mean(self, value: Tensor) -> float:
        """Mean of a number over the processes."""
        total = value.detach().clone()
        if self.count > 1:
            _together(lambda: dist.all_reduce(total))
        return total.item() / self.count

    def average_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by its mean over the processes; one that a process has none of is 0 there."""
        if self.count == 1:
            return
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        _together(lambda: dist.all_reduce(flat))
        parts = torch.split(flat / self.count, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def agreed(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, in all of them; the others do not call it."""
        if self.count == 1:
            return make()
        held = [make() if self.first else None]
        _together(lambda: dist.broadcast_object_list(held, group=self.patient))
        return held[0]  # type: ignore[return-value]


ALONE: Final = Ranks()


@contextmanager
def joined(processes: int, follow: Callable[..., object], *arguments: Any) -> Iterator[Ranks]:
    """Train together while the context is open.

    Args:
        processes: of this machine, this one included, unless `torchrun` has started it and says how many there are.
        follow: what each further process of this machine runs, with `arguments` and its `Ranks`.
        arguments: can be pickled.
    """
    if "RANK" in os.environ:
        with _member("env://", int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])) as ranks:
            yield ranks
    elif processes == 1:
        yield ALONE
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield from _lead(f"file://{folder}/store", processes, follow, arguments)


def _lead(store: str, processes: int, follow: Callable[..., object], arguments: tuple[Any, ...]) -> Iterator[Ranks]:
    """Start the others and be the first. They end by themselves; should one of us fail, none is left behind."""
    spawn = multiprocessing.get_context("spawn")
    others = [
        spawn.Process(target=_follow, args=(store, rank, processes, follow, arguments)) for rank in range(1, processes)
    ]
    for process in others:
        process.start()
    try:
        with _member(store, 0, processes) as ranks:
            yield ranks
        for process in others:
            process.join()
    finally:
        for process in others:
            process.kill()


def _follow(store: str, rank: int, count: int, follow: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    os.environ["LOCAL_RANK"] = str(rank)
    try:
        with _member(store, rank, count) as ranks:
            follow(*arguments, ranks)
    except ModelsError as error:
        log.error("process %d of %d: %s", rank + 1, count, error)  # noqa: TRY400 - for a person: no traceback
        sys.exit(1)


def _end_with_the_first() -> None:
    """End this process when the one that started it is gone: it may wait where it would not notice for long."""
    if first := multiprocessing.parent_process():
        first.join()
        os._exit(1)


@contextmanager
def _member(store: str, rank: int, count: int) -> Iterator[Ranks]:
    if store.startswith("file:"):  # all on this machine, whatever its host name resolves to
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _LOOPBACK)
    dist.init_process_group(init_method=store, rank=rank, world_size=count)
    try:
        yield Ranks(rank, count, dist.new_group(backend="gloo", timeout=_PATIENCE))
    finally:
        dist.destroy_process_group()


def _together(collective: Callable[[], object]) -> None:
    try:
        collective()
    except RuntimeError as error:  # what every backend raises when a peer has gone
        raise TrainingError(f"lost another of the processes that train together: {error}") from error
