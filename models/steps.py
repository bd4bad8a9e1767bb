"""What the steps with a model (`curation.engine.Step`) have in common. They are imported where there is no torch."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from models.errors import CheckpointError


class _Versioned(Protocol):
    version: str


Network = TypeVar("Network", bound=_Versioned)


def opened(load: Callable[[str], Network], folder: str, version: str, threads: int) -> Network:
    """Load the checkpoint of a step, to compute with so many threads.

    Raises:
        CheckpointError: it cannot be read, or another version has taken its place.
    """
    from models.device import set_threads

    set_threads(threads)
    network = load(folder)
    if network.version != version:
        raise CheckpointError(f"{folder} has version {network.version}, asked for {version}")
    return network
