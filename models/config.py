"""What the three trainers' configurations share: one strict model per trainer, whose values come from JSON.

Flat, so that one field can be changed without repeating others beside it. Ready-made values are in `models.presets`.
"""

from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import ConfigError


class TrainerConfig(BaseModel):
    """Fields of every trainer. Exactly one of `pretrained` and `architecture` says what is trained."""

    model_config = ConfigDict(extra="forbid", strict=True, validate_default=True)

    pretrained: str = Field("", description="hub name or checkpoint directory to start from; empty: from scratch")
    architecture: dict[str, Any] = Field(
        default_factory=dict,
        description="transformers configuration with its `model_type`, for a model built from scratch",
    )
    height: int = Field(64, ge=16, le=2048, description="input height, px")
    width: int = Field(64, ge=16, le=2048, description="input width, px")
    steps: int = Field(500, ge=1, description="optimiser steps")
    batch: int = Field(32, ge=1, description="rows per step")
    learning_rate: float = Field(1e-3, gt=0, lt=1, description="peak of the one-cycle schedule")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    weight_decay: float = Field(0.05, ge=0, description="weight decay; not on biases, norms and scalars")
    optimiser: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: for weights of linear layers and convolutions, from scratch; AdamW for the rest"
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of an average of the weights, which is what is then measured and kept; 0: none",
    )
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    evaluations: int = Field(3, ge=1, description="how often the validation set is measured, the last step included")
    patience: int = Field(0, ge=0, description="stop after so many evaluations in a row without a better one; 0: never")
    checkpoint_every: float = Field(
        2.0,
        ge=0,
        description="minutes between two states, from which a killed training goes on; 0: none is saved",
    )
    seed: int = Field(0, ge=0, description="seeds weights, order and augmentation")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="of the forward pass")
    gradient_checkpointing: bool = Field(
        False, description="compute activations again in the backward pass: half the memory for a quarter more time"
    )
    compile: bool = Field(
        False, description="let torch.compile write code for the network: minutes before the first step"
    )
    threads: int = Field(1, ge=0, description="CPU threads of torch; 0: all cores this process may use")
    processes: int = Field(
        1,
        ge=0,
        description="on this machine, which share each batch; 0: one for each GPU; with torchrun its own number counts",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.pretrained) == bool(self.architecture):
            raise ValueError("give exactly one of `pretrained` and `architecture`")
        if self.architecture and "model_type" not in self.architecture:
            raise ValueError("`architecture` needs the key `model_type`")
        return self


class PictureConfig(TrainerConfig):
    """Fields of the trainers that see one garment per picture: how far training pictures are varied."""

    flip: float = Field(0.5, ge=0, le=1, description="chance of a mirror image")
    rotation: float = Field(10.0, ge=0, le=180, description="largest rotation, degrees")
    zoom: float = Field(0.25, ge=0, lt=1, description="largest share of width and of height that a random crop loses")
    jitter: float = Field(0.3, ge=0, lt=1, description="largest relative change of brightness, contrast, saturation")
    cast: float = Field(0.1, ge=0, lt=1, description="largest relative change of one colour channel")
    erase: float = Field(0.2, ge=0, le=1, description="chance that a random rectangle is blanked")
    erase_share: float = Field(0.4, gt=0, lt=1, description="largest side of that rectangle, share of the picture's")
    ground: float = Field(0.0, ge=0, le=1, description="chance that a plain background gets another colour")


Config = TypeVar("Config", bound=TrainerConfig)


def make_config(kind: type[Config], values: Any) -> Config:
    """Build a configuration. Raises `ConfigError` with one line per broken field, its rule and its value."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc'])) or kind.__name__}: {item['msg']} (got {item['input']!r:.200})"
            for item in error.errors()
        ]
        raise ConfigError(f"{kind.__name__} has {len(lines)} errors: " + "; ".join(lines)) from error
