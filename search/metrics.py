"""Counters and histograms of the service in Prometheus' text format, version 0.0.4."""

from collections import defaultdict
from typing import Final

_Key = tuple[str, tuple[tuple[str, str], ...]]
"""Name and labels of one sum."""

_HELP = {
    "requests_total": ("counter", "Requests by route and status."),
    "request_seconds": ("histogram", "Time spent on requests, by route."),
    "step_seconds_total": ("counter", "Time spent inside queries, by step."),
    "batches_total": ("counter", "Passes of the models; a pass answers every query that waits."),
    "queue_length": ("gauge", "Queries waiting for the models or at work."),
    "index_products": ("gauge", "Products in the index in use."),
}

BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
"""Upper bounds in seconds. Every request counts in each bucket that it is below."""
_PARTS: Final = {"histogram": ("_bucket", "_sum", "_count")}


class Metrics:
    """Named sums with labels. Written and read by the event loop only."""

    def __init__(self) -> None:
        self._values: dict[_Key, float] = defaultdict(float)

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Add to a sum. `name` is one of the names documented above; labels have few distinct values."""
        self._values[name, tuple(sorted(labels.items()))] += value

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value in seconds to a histogram."""
        for bound in BUCKETS:
            self.add(f"{name}_bucket", float(value <= bound), **{**labels, "le": f"{bound:g}"})
        self.add(f"{name}_bucket", 1, **{**labels, "le": "+Inf"})
        self.add(f"{name}_sum", value, **labels)
        self.add(f"{name}_count", 1, **labels)

    def render(self, **gauges: float) -> str:
        """All sums, and the gauges of this moment."""
        values: dict[_Key, float] = self._values | {(name, ()): value for name, value in gauges.items()}
        lines = []
        for name, (kind, text) in _HELP.items():
            lines += [f"# HELP search_{name} {text}", f"# TYPE search_{name} {kind}"]
            of_it = {name + part for part in _PARTS.get(kind, ("",))}
            lines += [f"search_{of}{_braces(labels)} {value}" for (of, labels), value in values.items() if of in of_it]
        return "\n".join(lines) + "\n"


def _braces(labels: tuple[tuple[str, str], ...]) -> str:
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels) + "}" if labels else ""
