"""Counters of the service in Prometheus' text format, version 0.0.4."""

from collections import defaultdict

_Key = tuple[str, tuple[tuple[str, str], ...]]
"""Name and labels of one sum."""

_HELP = {
    "requests_total": ("counter", "Requests by route and status."),
    "request_seconds_total": ("counter", "Time spent on requests, by route."),
    "step_seconds_total": ("counter", "Time spent inside queries, by step."),
    "queue_length": ("gauge", "Queries waiting for the models or at work."),
    "index_products": ("gauge", "Products in the index in use."),
}


class Metrics:
    """Named sums with labels. Written and read by the event loop only."""

    def __init__(self) -> None:
        self._values: dict[_Key, float] = defaultdict(float)

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Add to a sum. `name` is one of the names documented above; labels have few distinct values."""
        self._values[name, tuple(sorted(labels.items()))] += value

    def render(self, **gauges: float) -> str:
        """All sums, and the gauges of this moment."""
        values: dict[_Key, float] = self._values | {(name, ()): value for name, value in gauges.items()}
        lines = []
        for name, (kind, text) in _HELP.items():
            lines += [f"# HELP search_{name} {text}", f"# TYPE search_{name} {kind}"]
            lines += [f"search_{name}{_braces(labels)} {value}" for (of, labels), value in values.items() if of == name]
        return "\n".join(lines) + "\n"


def _braces(labels: tuple[tuple[str, str], ...]) -> str:
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels) + "}" if labels else ""
