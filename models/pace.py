"""How fast training steps go, and which share of their time goes by waiting for data."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Pace:
    """Sums over the steps done; evaluations and saved states between them do not count."""

    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0  # seconds of those in which there was no batch to work on
    _start: float = field(default=0.0, init=False)
    _before: tuple[int, float, float] = field(default=(0, 0.0, 0.0), init=False)

    def __post_init__(self) -> None:
        self._before = self.state()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Enter with the start of a step, leave when its batch is there."""
        self._start = time.monotonic()
        yield
        self.waited += time.monotonic() - self._start

    def step_done(self) -> None:
        """Count the step that began with `waiting`."""
        self.steps += 1
        self.seconds += time.monotonic() - self._start

    def recent(self, batch: int) -> dict[str, float]:
        """Of the steps since this was asked last, with `batch` rows each: rows per second and share of waiting."""
        steps, seconds, waited = self._before
        self._before = self.state()
        return _figures((self.steps - steps) * batch, self.seconds - seconds, self.waited - waited)

    def total(self, batch: int) -> dict[str, float]:
        """The same of all steps."""
        return _figures(self.steps * batch, self.seconds, self.waited)

    def state(self) -> tuple[int, float, float]:
        """What makes an equal one."""
        return self.steps, self.seconds, self.waited


def _figures(rows: int, seconds: float, waited: float) -> dict[str, float]:
    return {"rows_per_second": rows / seconds, "data_wait": waited / seconds}
