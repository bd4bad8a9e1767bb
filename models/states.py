"""States of a training under way, from which a killed one goes on. Two are kept, in case the newer one is damaged.

`OUT/state/00000200.pt` holds the tensors after 200 steps, `00000200.json` everything else and the tensors' digest. The
JSON file is written last: a state without it does not exist. The finished checkpoint replaces OUT, and the states go.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch  # noqa: TID253
from safetensors import SafetensorError

from curation.tables import file_fingerprint, write_json
from models.checkpoint import WEIGHTS
from models.config import TrainerConfig
from models.errors import TrainingError
from models.ranks import ALONE, Ranks

log = logging.getLogger(__name__)

FOLDER: Final = "state"
_KEPT: Final = 2
_MINUTE: Final = 60.0


@dataclass(frozen=True)
class State:
    """All that a training is after a step."""

    step: int
    tensors: dict[str, Any]  # what `torch.load` reads without running code
    facts: dict[str, Any]  # what JSON can hold


class States:
    """The states of one training.

    Attributes:
        newest: what to go on from, until a training has done so; None to start.
    """

    def __init__(self, folder: Path, config: TrainerConfig, data: str, ranks: Ranks = ALONE) -> None:
        """Look for a state of this very configuration, weights to start from, and `data`, a fingerprint.

        Others are ignored, and logged.
        """
        self._folder = folder
        self._training = {"config": json.loads(config.model_dump_json()), "data": data, "start": _start_of(config)}
        self._every = config.checkpoint_every * _MINUTE
        self._ranks = ranks
        self._saved = time.monotonic()
        self.newest: State | None = ranks.agreed(self._find)
        self._kept = [self.newest.step] if self.newest else []

    @property
    def step(self) -> int:
        """Steps that need not be done again."""
        return self.newest.step if self.newest else 0

    @property
    def due(self) -> bool:
        """Whether it is time for the next state, and this process's turn."""
        return self._ranks.first and 0 < self._every <= time.monotonic() - self._saved

    def save(self, state: State) -> None:
        """Write a state whole or not at all, and drop all but the last two. Raises `TrainingError` as `guard` does."""
        path = self._folder / f"{state.step:08}.pt"
        temporary = path.with_suffix(".tmp")
        with self.guard(f"save the state of step {state.step}"):
            try:
                _write(temporary, state.tensors)
                told = {"digest": file_fingerprint(temporary), "processes": self._ranks.count, "facts": state.facts}
                note = {**self._training, **told}
                temporary.replace(path)
                write_json(path.with_suffix(".json"), note)
            finally:
                temporary.unlink(missing_ok=True)
        self._kept = [*self._kept, state.step][-_KEPT:]
        self._saved = time.monotonic()
        self._prune()

    @contextmanager
    def guard(self, what: str) -> Iterator[None]:
        """Name the last good state when reading or writing files fails in the context, as on a full disk.

        Raises:
            TrainingError: what could not be done, why, and which state is kept where.
        """
        try:
            yield
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"cannot {what}: {error}; {self.last}") from error

    @property
    def last(self) -> str:
        """What a message says of the last good state."""
        if not self._kept:
            return "no state was saved before"
        return f"the state of step {self._kept[-1]} is kept in {self._folder}"

    def _find(self) -> State | None:
        found = (self._read(note) for note in sorted(self._folder.glob("*.json"), reverse=True))
        return next((state for state in found if state), None)

    def _read(self, path: Path) -> State | None:
        tensors = path.with_suffix(".pt")
        try:
            note = json.loads(path.read_text())
            other = [name for name, value in self._training.items() if note.get(name, "") != value]
            intact = other or file_fingerprint(tensors) == note["digest"]
        except (OSError, ValueError, KeyError) as error:
            log.warning("state %s is damaged and not used: %r", path, error)
            return None
        if other or not intact:
            log.warning("state %s is %s and not used", path, f"of other {' and '.join(other)}" if other else "damaged")
            return None
        log.info("going on from the state of step %d in %s", int(path.stem), self._folder)
        if (before := note.get("processes", self._ranks.count)) != self._ranks.count:
            text = "%d processes trained until step %d, now %d: the result is another than an undisturbed training's"
            log.warning(text, before, int(path.stem), self._ranks.count)
        return State(int(path.stem), torch.load(tensors, map_location="cpu", weights_only=True), note["facts"])

    def _prune(self) -> None:
        for path in self._folder.iterdir():
            if path.stem not in {f"{step:08}" for step in self._kept}:
                path.unlink()


def _start_of(config: TrainerConfig) -> str:
    """Digest of the weights in the folder `pretrained`, which may be trained anew; empty for a name on the hub."""
    weights = Path(config.pretrained) / WEIGHTS
    return file_fingerprint(weights) if config.pretrained and weights.is_file() else ""


def _write(path: Path, tensors: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("wb") as file:
            torch.save(tensors, file)
    except RuntimeError as error:  # what torch makes of it when a file cannot grow
        raise OSError(str(error)) from error
