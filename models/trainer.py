"""What is common to training a detector, a classifier and an encoder: processes, then the checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.checkpoint import Kind, Manifest, save_checkpoint
from models.config import TrainerConfig
from models.device import processes_for
from models.errors import ConfigError
from models.progress import Progress
from models.ranks import Ranks, joined
from models.states import States


@dataclass(frozen=True)
class Trained:
    """What a training made, before it is written."""

    write: Callable[[Path], None]  # fills a directory with the model and its preprocessing
    labels: list[str]
    data_fingerprint: str
    metrics: dict[str, Any]
    states: States


Learn = Callable[[Any, Path, Path, Progress, Ranks], Trained]
"""Configuration, data, directory of the checkpoint, progress, place among the processes → a trained model."""


def train_together(
    kind: Kind, learn: Learn, config: TrainerConfig, data: Path, out: Path, progress: Progress
) -> Manifest | None:
    """Train in as many processes as the configuration or `torchrun` says and write the checkpoint `out`.

    Of processes that `torchrun` started, the first measures and writes; the others return None.

    Raises:
        ConfigError: a batch has fewer rows than there are processes.
    """
    with joined(processes_for(config), _follow, learn, config, data, out) as ranks:
        if config.batch < ranks.count:
            raise ConfigError(f"batch: {config.batch} rows are too few for {ranks.count} processes")
        trained = learn(config, data, out, progress, ranks)
    if not ranks.first:
        return None
    with trained.states.guard(f"write the checkpoint {out}"):
        progress("done", **trained.metrics)
        progress.flush()
        return save_checkpoint(
            out,
            kind,
            trained.write,
            config=config.model_dump(),
            data_fingerprint=trained.data_fingerprint,
            labels=trained.labels,
            metrics=trained.metrics,
        )


def _follow(learn: Learn, config: TrainerConfig, data: Path, out: Path, ranks: Ranks) -> None:
    learn(config, data, out, Progress(None), ranks)
