"""One training by name: strict configuration first, then the trainer, with its progress beside the checkpoint."""

import logging
import os
from pathlib import Path
from typing import Any

from models.card import read_sources, write_card
from models.checkpoint import Manifest
from models.config import make_config
from models.errors import ConfigError
from models.progress import FILE_NAME, Progress

log = logging.getLogger(__name__)


def train(kind: str, values: dict[str, Any], data: Path, out: Path) -> Manifest | None:
    """Train a `detector`, `classifier` or `encoder` on `data` and write its checkpoint directory `out`.

    Of processes that `torchrun` started, the first writes and gets the manifest.

    Raises:
        ConfigError: `kind` is unknown or `values` are no valid configuration; nothing was started.
        DataError: the data cannot be trained on.
        TrainingError: training could not go on; a checkpoint that was in `out` before is still there.
    """
    config, trainer = _trainer(kind, values)
    rank = int(os.environ.get("RANK", "0"))  # torchrun's
    if rank and not hasattr(config, "processes"):
        raise ConfigError(f"a {kind} trains in one process, RANK says that this is another: {rank}")
    if not data.is_dir():
        raise ConfigError(f"data: {data} is no directory")
    import transformers

    transformers.utils.logging.disable_progress_bar()
    with Progress(Path(os.devnull) if rank else out / FILE_NAME) as progress:
        manifest: Manifest | None = trainer(config, data, out, progress)
    if manifest:
        write_card(out, read_sources(data))
        log.info("%s version %s written to %s", kind, manifest.version, out)
    return manifest


def _trainer(kind: str, values: dict[str, Any]) -> tuple[Any, Any]:
    if kind == "detector":
        from models.detector.config import DetectorConfig
        from models.detector.train import train_detector

        return make_config(DetectorConfig, values), train_detector
    if kind == "classifier":
        from models.classifier.config import ClassifierConfig
        from models.classifier.train import train_classifier

        return make_config(ClassifierConfig, values), train_classifier
    if kind == "encoder":
        from models.encoder.config import EncoderConfig
        from models.encoder.train import train_encoder

        return make_config(EncoderConfig, values), train_encoder
    raise ConfigError(f"kind: must be detector, classifier or encoder, got {kind!r}")
