"""Putting a checkpoint that was trained elsewhere into use, so that what follows it can be made before any training."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from assets import io_manager
from curation.tables import write_json
from curation.versions import VersionError
from models.checkpoint import MANIFEST, Kind, open_checkpoint
from models.promotion import NEXT, ModelVersions

_ASSETS: Final[dict[Kind, str]] = {
    "detector": "detector",
    "classifier": "category_classifier",
    "encoder": "encoder",
}


def adopt_model(data: Path, kind: Kind, source: str, reason: str) -> dict[str, Any]:
    """Make a checkpoint a version of a model and use it because a person says so: no gate is asked.

    The next training's candidate is weighed against it as against any model in use.

    Args:
        data: the data folder.
        kind: of the model.
        source: directory or hub name of a checkpoint, of this project or published.
        reason: kept in the ledger.

    Returns:
        The version's name, and what is left to do.

    Raises:
        models.errors.CheckpointError: it is not there, damaged, of another kind, or has other classes.
        VersionError: there is no reason.
    """
    if not reason.strip():
        raise VersionError("reason: must say why, got nothing")
    found, manifest = open_checkpoint(source, kind)
    _try(kind, found)
    versions = ModelVersions(data / "models" / kind)
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = Path(temporary)
        for path in found.iterdir():
            if path.is_file():
                shutil.copyfile(path, checkpoint / path.name)
        if not (checkpoint / MANIFEST).is_file():  # a published one
            write_json(checkpoint / MANIFEST, manifest.model_dump())
        name = versions.add(checkpoint)
    versions.promote(name, reason)
    io_manager.adopt(data, _ASSETS[kind], versions.folder / name)
    return {"in_use": name, "next": NEXT[kind]}


def _try(kind: Kind, checkpoint: Path) -> None:
    """Load it once, which refuses what cannot be used."""
    from models.classifier.infer import Classifier
    from models.detector.infer import Detector
    from models.encoder.infer import Encoder

    loaders = {"detector": Detector.load, "classifier": Classifier.load, "encoder": Encoder.load}
    loaders[kind](checkpoint, engine="torch")
