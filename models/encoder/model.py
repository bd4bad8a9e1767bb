"""The encoder network in the layout of the published checkpoints: `swin.*`, `embedding_layer.*`, unit length."""

from pathlib import Path
from typing import Any, Final, Self

import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn  # noqa: TID253
from transformers import MODEL_MAPPING, AutoConfig  # noqa: TID253

from models.checkpoint import WEIGHTS
from models.errors import CheckpointError

_HEAD_NAMES: Final = ("embedding_layer.weight", "embedding_layer.bias")


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
        """Read what `save` or the published checkpoints hold. Raises `CheckpointError` when the weights do not fit.

        transformers reads the backbone: it knows the names that layers had when the published checkpoints were made.
        """
        file = folder / WEIGHTS
        state = load_file(file)
        head = {name: state.pop(name) for name in _HEAD_NAMES if name in state}
        if len(head) < len(_HEAD_NAMES):
            raise CheckpointError(f"{file} lacks {' or '.join(_HEAD_NAMES)}: it is no encoder")
        config = AutoConfig.from_pretrained(folder)
        family = MODEL_MAPPING[type(config)]
        try:
            backbone, report = family.from_pretrained(
                None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
            )
        except RuntimeError as error:
            raise CheckpointError(f"{file} does not fit its config.json: {error}") from error
        wrong = {fault: sorted(names) for fault, names in report.items() if names}
        if wrong:
            raise CheckpointError(f"{file} does not fit its config.json: {wrong}")
        encoder = cls(backbone, head[_HEAD_NAMES[0]].shape[0])
        encoder.embedding_layer.load_state_dict({name.rpartition(".")[2]: tensor for name, tensor in head.items()})
        return encoder


def is_encoder(folder: Path, dimension: int) -> bool:
    """Whether a directory holds an encoder whose embeddings have this length."""
    if not (folder / WEIGHTS).is_file():
        return False
    with safe_open(folder / WEIGHTS, "pt") as file:
        name = _HEAD_NAMES[0]
        return name in set(file.keys()) and file.get_slice(name).get_shape()[0] == dimension


def feature_width(config: Any) -> int:
    """Length of the pooled features of a transformers configuration."""
    width = getattr(config, "hidden_size", None)
    return int(width if width is not None else config.hidden_sizes[-1])
