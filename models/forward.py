"""A trained network at work: pictures loaded ahead, copies that overlap, batches halved where memory ends."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

import torch  # noqa: TID253

from models.device import Precision, autocast, loaders
from models.feeding import ahead
from models.runtime import Inputs, Outputs, Run

log = logging.getLogger(__name__)

Group = TypeVar("Group")
Tag = TypeVar("Tag")

_UNLIMITED: Final = 1 << 30  # rows


class Forward:
    """Runs batches. Not thread-safe, as the networks are not: call it from one thread."""

    def __init__(self, run: Run, device: torch.device, precision: Precision) -> None:
        """`run` comes from `models.runtime.compile_for`."""
        self._run = run
        self._device = device
        self._precision: Precision = precision
        self._most = _UNLIMITED  # rows that fit into the device's memory at once

    def each(
        self, groups: Iterable[Group], prepare: Callable[[Group], tuple[Tag, Sequence[Inputs]]]
    ) -> Iterator[tuple[Tag, list[Outputs]]]:
        """The outputs of every batch of every group, in order.

        While one group is computed, the next ones are prepared in threads (decoded, resized); on CUDA the next one is
        copied and begun before the outputs of the one before are fetched.

        Args:
            groups: read by the calling thread.
            prepare: called in other threads: a group → what the caller wants back with it, and its batches.
        """

        def staged(group: Group) -> tuple[Tag, list[Inputs]]:
            tag, batches = prepare(group)
            return tag, [self._stage(batch) for batch in batches]

        begun: deque[tuple[Tag, list[Outputs]]] = deque()
        following = 1 if self._device.type == "cuda" else 0
        for tag, batches in ahead(groups, staged, loaders(self._device)):
            begun.append((tag, [self._begin(batch) for batch in batches]))
            if len(begun) > following:
                yield _fetched(*begun.popleft())
        yield from (_fetched(*group) for group in begun)

    def _stage(self, batch: Inputs) -> Inputs:
        """In page-locked memory, from which a copy to a GPU does not hold up whoever asks for it."""
        return tuple(tensor.pin_memory() for tensor in batch) if self._device.type == "cuda" else batch

    def _begin(self, batch: Inputs) -> Outputs:
        """Outputs of a batch, on the device.

        A batch that does not fit is halved until it does, and so are those that follow. A single row that does not fit
        raises `torch.OutOfMemoryError`.
        """
        parts: list[Outputs] = []
        start, rows = 0, len(batch[0])
        while start < rows:
            size = min(self._most, rows - start)
            outputs = self._try(tuple(tensor[start : start + size] for tensor in batch))
            if outputs is None:
                self._most = size // 2
                log.warning(
                    "%d rows do not fit into the memory of %s; going on with %d", size, self._device, self._most
                )
                torch.cuda.empty_cache()  # nothing where CUDA is not in use
                continue
            parts.append(outputs)
            start += size
        return parts[0] if len(parts) == 1 else tuple(torch.cat(columns) for columns in zip(*parts, strict=True))

    def _try(self, batch: Inputs) -> Outputs | None:
        """Outputs, or None where several rows do not fit."""
        try:
            with torch.inference_mode(), autocast(self._device, self._precision):
                outputs = self._run(*(tensor.to(self._device, non_blocking=True) for tensor in batch))
        except torch.OutOfMemoryError:
            if len(batch[0]) == 1:
                raise
            return None
        return outputs if isinstance(outputs, tuple) else (outputs,)


def _fetched(tag: Tag, batches: Sequence[Outputs]) -> tuple[Tag, list[Outputs]]:
    """With outputs in float32 on the CPU, whatever they were computed in and where."""
    return tag, [tuple(tensor.float().cpu() for tensor in outputs) for outputs in batches]
