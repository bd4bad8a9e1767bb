"""What probes get and give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.environments import Settings

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis. `fail` is what keeps a run from ending well; `warn` is worth knowing."""

    probe: str
    level: Level
    told: str
    remedy: str = ""


@dataclass(frozen=True)
class Patient:
    """What is looked at: the settings, and the environment they came from."""

    settings: Settings
    environment: Mapping[str, str]

    @property
    def full(self) -> bool:
        """Whether full-size models and the real sites are asked for."""
        return self.settings.profile == "full"


Probe = Callable[[Patient], list[Finding]]
"""Its name is what a finding of its own failure is called."""
