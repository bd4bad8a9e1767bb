"""Configuration of the detector's training. Values for tiny and full size are in `models.presets`."""

from typing import Self

from pydantic import Field, model_validator

from models.config import TrainerConfig


class DetectorConfig(TrainerConfig):
    """A detection transformer fine-tuned, or trained from scratch, on a dataset of `models.detector.dataset`."""

    cache_side: int = Field(
        0, ge=0, description="keep decoded training pictures in memory, longest side at most this, px; 0: decode anew"
    )
    workers: int = Field(0, ge=0, description="processes that decode and augment; 0: in the training process")
    crop_probability: float = Field(0.5, ge=0, le=1, description="chance of a crop around one object")
    crop_margin_low: float = Field(0.3, ge=0, description="smallest margin around that object, share of its size")
    crop_margin_high: float = Field(0.9, ge=0, description="largest margin, share of its size")
    close_up: float = Field(
        0.0, ge=0, le=1, description="chance of a crop so close around one object that little else is seen"
    )
    thumbnails: str = Field(
        "", description="catalog table, or folder with labels.csv: pictures of products for `alone` and `paste`"
    )
    alone: float = Field(
        0.0, ge=0, le=1, description="chance that a product's own picture takes a training picture's place"
    )
    paste: float = Field(0.0, ge=0, le=1, description="chance that products are pasted onto a training picture")
    jitter: float = Field(0.25, ge=0, lt=1, description="largest relative change of brightness, contrast, saturation")

    @model_validator(mode="after")
    def _products(self) -> Self:
        if (self.alone or self.paste) and not self.thumbnails:
            raise ValueError("`alone` and `paste` need `thumbnails`")
        return self
