"""Configuration of the encoder's training. Values for tiny and full size are in `models.presets`."""

from typing import Self

from pydantic import Field, model_validator

from models.config import PictureConfig


class EncoderConfig(PictureConfig):
    """A backbone, a linear embedding and unit length, trained by contrast of anchors with positives."""

    dimension: int = Field(128, ge=2, description="length of an embedding")
    temperature: float = Field(0.07, gt=0, description="of the softmax over similarities; where a learned one starts")
    learn_temperature: bool = Field(True, description="learn the temperature (CLIP, Radford et al. 2021)")
    trim: bool = Field(True, description="cut off the plain background of thumbnails; carried by the checkpoint")
    distractors: int = Field(
        1000, ge=0, description="training products that validation queries compete with, so that the measure is hard"
    )
    recolour: float = Field(
        0.5, ge=0, le=1, description="chance that a pair's colour channels change places, in both pictures alike"
    )
    splice: float = Field(
        0.0, ge=0, le=1, description="chance that a pair goes on as another one below or beside a cut, in both pictures"
    )
    same_category: float = Field(
        0.5, ge=0, le=1, description="share of batches drawn from one category: search filters by category too"
    )
    processes: int = Field(
        1, ge=1, description="on this machine, which share each batch; with torchrun its own number counts"
    )
    categories: list[str] = Field(default_factory=list, description="train on these categories only; empty: on all")
    cache_dir: str = Field("", description="where `datasets` keeps its Arrow copy when pictures are streamed")

    @model_validator(mode="after")
    def _square(self) -> Self:
        if self.height != self.width:
            raise ValueError(f"an encoder's input is square, got {self.height}×{self.width} px")
        return self
