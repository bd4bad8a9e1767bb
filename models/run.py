"""One training by name: strict configuration first, then the trainer, with its progress beside the checkpoint."""

import logging
import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from models.card import read_sources, write_card
from models.checkpoint import Kind, Manifest, sole_writer
from models.config import make_config
from models.errors import ConfigError
from models.progress import FILE_NAME, Progress

log = logging.getLogger(__name__)


def train(kind: str, values: dict[str, Any], data: Path, out: Path) -> Manifest | None:
    """Train a `detector`, `classifier` or `encoder` on `data` and write its checkpoint directory `out`.

    A training of the same configuration and data that was killed is gone on with: its states are in `out/state`. Of
    processes that `torchrun` started, the first writes and gets the manifest.

    Raises:
        ConfigError: `kind` is unknown or `values` are no valid configuration; nothing was started.
        CheckpointError: another process trains into `out`.
        DataError: the data cannot be trained on.
        TrainingError: training could not go on; a checkpoint that was in `out` before is still there.
    """
    name, config, learn = _trainer(kind, values)
    if not data.is_dir():
        raise ConfigError(f"data: {data} is no directory")
    import transformers

    from models.trainer import train_together

    transformers.utils.logging.disable_progress_bar()
    speaks = os.environ.get("RANK", "0") == "0"  # torchrun's
    with sole_writer(out) if speaks else nullcontext(), Progress(out / FILE_NAME if speaks else None) as progress:
        manifest = train_together(name, learn, config, data, out, progress)
    if manifest:
        write_card(out, _sources(data, values))
        log.info("%s version %s written to %s", kind, manifest.version, out)
    return manifest


def _sources(data: Path, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Those of the data, and of what is learned from besides."""
    besides = [Path(os.path.normpath(data / values["boxes"]))] if values.get("boxes") else []
    besides += [Path(values[name]) for name in ("also", "thumbnails") if values.get(name)]
    return {name: terms for folder in (data, *besides) for name, terms in read_sources(folder).items()}


def _trainer(kind: str, values: dict[str, Any]) -> tuple[Kind, Any, Any]:
    if kind == "detector":
        from models.detector.config import DetectorConfig
        from models.detector.train import train_detector

        return "detector", make_config(DetectorConfig, values), train_detector
    if kind == "classifier":
        from models.classifier.config import ClassifierConfig
        from models.classifier.train import train_classifier

        return "classifier", make_config(ClassifierConfig, values), train_classifier
    if kind == "encoder":
        from models.encoder.config import EncoderConfig
        from models.encoder.train import train_encoder

        return "encoder", make_config(EncoderConfig, values), train_encoder
    raise ConfigError(f"kind: must be detector, classifier or encoder, got {kind!r}")
