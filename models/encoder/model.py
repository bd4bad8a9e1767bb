"""The encoder network in the layout of the published checkpoints: `swin.*`, `embedding_layer.*`, unit length."""

from pathlib import Path
from typing import Any, Self

import torch.nn.functional as F  # noqa: TID253
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn  # noqa: TID253
from transformers import AutoConfig, AutoModel  # noqa: TID253

from models.checkpoint import WEIGHTS
from models.errors import CheckpointError

_HEAD = "embedding_layer"


class ImageEncoder(nn.Module):
    """Backbone → pooled features → linear layer → L2 norm.

    The backbone is stored under its own family's name (`swin`, `vit`, …), so that a plain class with these two
    attributes reads the file.
    """

    def __init__(self, backbone: nn.Module, dimension: int) -> None:
        super().__init__()
        self._name = str(backbone.base_model_prefix)
        self.add_module(self._name, backbone)
        self.embedding_layer = nn.Linear(feature_width(backbone.config), dimension)

    @property
    def backbone(self) -> Any:
        """The transformers model."""
        return self.get_submodule(self._name)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised input (n, 3, height, width) → unit vectors (n, dimension), float32."""
        features = self.backbone(pixel_values=images).pooler_output.flatten(1)
        return F.normalize(self.embedding_layer(features).float(), dim=1)

    def save(self, folder: Path) -> None:
        """Write `config.json` of the backbone and `model.safetensors`."""
        self.backbone.config.save_pretrained(folder)
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` or the published checkpoints hold. Raises `CheckpointError` when the weights do not fit."""
        state = load_file(folder / WEIGHTS)
        if f"{_HEAD}.weight" not in state:
            raise CheckpointError(f"{folder / WEIGHTS} has no {_HEAD}.weight: it is no encoder")
        config = AutoConfig.from_pretrained(folder)
        encoder = cls(AutoModel.from_config(config), state[f"{_HEAD}.weight"].shape[0])
        try:
            encoder.load_state_dict(state)
        except RuntimeError as error:
            raise CheckpointError(f"{folder / WEIGHTS} does not fit its config.json: {error}") from error
        return encoder


def is_encoder(folder: Path, dimension: int) -> bool:
    """Whether a directory holds an encoder whose embeddings have this length."""
    if not (folder / WEIGHTS).is_file():
        return False
    with safe_open(folder / WEIGHTS, "pt") as file:
        name = f"{_HEAD}.weight"
        return name in set(file.keys()) and file.get_slice(name).get_shape()[0] == dimension


def feature_width(config: Any) -> int:
    """Length of the pooled features of a transformers configuration."""
    width = getattr(config, "hidden_size", None)
    return int(width if width is not None else config.hidden_sizes[-1])
