"""Dagster's own processes over many nights: their memory. `python -m benchmarks.daemon`."""

from typing import Final

MINUTES: Final = "NIGHT_MINUTES"
"""Environment variable: how long a night lasts."""
