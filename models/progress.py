"""Progress of a training: one JSON line per event in `progress.jsonl`, TensorBoard curves beside it, and the log."""

import json
import logging
import shutil
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Self

from models.errors import TrainingError

log = logging.getLogger(__name__)

FILE_NAME: Final = "progress.jsonl"
CURVES: Final = "tensorboard"
_TAGS: Final = {"step": "train", "evaluation": "validation"}
_FLUSH_S: Final = 10  # what a killed training loses of its curves


class Progress:
    """Writes events of one run; a context manager. A line has `event`, `seconds` since the start, and more.

    An event `start` with a `step` goes on where a killed run was after that step: what was recorded till then stays.
    """

    def __init__(self, path: Path | None) -> None:
        """`path`: of the JSON lines; None for a process that others speak for."""
        self._path = path
        self._file: Any = None
        self._curves: Any = None
        self._start = time.monotonic()

    def __call__(self, event: str, **values: Any) -> None:
        """Record one event. Values must be what JSON can hold. Raises `TrainingError` on a full disk and the like."""
        if self._path is None:
            return
        try:
            self._write(self._path, event, values)
        except OSError as error:
            raise TrainingError(f"cannot write progress to {self._path}: {error}") from error
        text = " ".join(
            f"{name}={_short(value)}" for name, value in values.items() if not isinstance(value, dict | list)
        )
        log.info("%s %s", event, text)

    def flush(self) -> None:
        """Let readers of the files see everything."""
        if self._curves is not None:
            self._curves.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is None:
            return
        with suppress(OSError) if kind else nullcontext():  # what ended the training says more
            self._file.close()
            self._curves.close()

    def _write(self, path: Path, event: str, values: dict[str, Any]) -> None:
        if self._file is None:
            self._open(path, values.get("step", 0) if event == "start" else 0)
        seconds = round(time.monotonic() - self._start, 3)
        self._file.write(json.dumps({"event": event, "seconds": seconds, **values}) + "\n")
        if event in _TAGS:
            self._draw(_TAGS[event], values)

    def _open(self, path: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path.parent.mkdir(parents=True, exist_ok=True)
        curves = path.with_name(CURVES)
        if not step:
            shutil.rmtree(curves, ignore_errors=True)
            path.unlink(missing_ok=True)  # a version may share the file with its candidate: never write into it
        self._file = path.open("a", buffering=1)
        if step:
            self._file.write("\n")  # a kill or a full disk may have cut the last line
        self._curves = SummaryWriter(str(curves), purge_step=step + 1 if step else None, flush_secs=_FLUSH_S)

    def _draw(self, tag: str, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name != "step" and isinstance(value, int | float):
                self._curves.add_scalar(f"{tag}/{name}", value, values["step"])


def read_progress(path: Path, event: str | None = None) -> list[dict[str, Any]]:
    """All events of a run, or those of one name, oldest first.

    A last line cut by a kill is left out, and so is what a killed run did after the state from which another went on.
    """
    events: list[dict[str, Any]] = []
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # only the line that was being written when the process was killed
            continue
        if row["event"] == "start":
            events = [earlier for earlier in events if earlier.get("step", 0) <= row.get("step", 0)]
        events.append(row)
    return [row for row in events if event in (None, row["event"])]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
