"""What tests of the encoder share."""

from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: TID253

from models.checkpoint import save_checkpoint
from models.config import make_config
from models.encoder.config import EncoderConfig
from models.encoder.train import build
from models.presets import preset


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of the tiny preset that has learned nothing."""
    torch.manual_seed(0)
    model, processor = build(make_config(EncoderConfig, preset("encoder", "tiny")))
    folder: Path = tmp_path_factory.mktemp("models") / "encoder"
    facts: dict[str, Any] = {"config": {}, "data_fingerprint": "", "labels": [], "metrics": {}}
    save_checkpoint(folder, "encoder", lambda out: (model.save(out), processor.save_pretrained(out)), **facts)
    return folder
