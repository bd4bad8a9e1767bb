"""Progress of a training child process: one JSON line per event in `progress.jsonl`, and the same to the log."""

import json
import logging
import time
from pathlib import Path
from typing import Any, Self

log = logging.getLogger(__name__)

FILE_NAME = "progress.jsonl"


class Progress:
    """Writes events of one run; a context manager. A line has `event`, `seconds` since the start, and more."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", buffering=1)
        self._start = time.monotonic()

    def __call__(self, event: str, **values: Any) -> None:
        """Record one event. Values must be what JSON can hold."""
        seconds = round(time.monotonic() - self._start, 3)
        self._file.write(json.dumps({"event": event, "seconds": seconds, **values}) + "\n")
        text = " ".join(
            f"{name}={_short(value)}" for name, value in values.items() if not isinstance(value, dict | list)
        )
        log.info("%s %s", event, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_progress(path: Path, event: str | None = None) -> list[dict[str, Any]]:
    """All events of a run, or those of one name, oldest first. A last line cut by a kill is left out."""
    events = []
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # only the line that was being written when the process was killed
            continue
        if event is None or row["event"] == event:
            events.append(row)
    return events


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
