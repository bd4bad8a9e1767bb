"""Configuration of the encoder's training. Values for tiny and full size are in `models.presets`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config import PictureConfig


class EncoderConfig(PictureConfig):
    """A backbone, a linear embedding and unit length, trained by contrast of anchors with positives."""

    dimension: int = Field(128, ge=2, description="length of an embedding")
    loss: Literal["contrastive", "triplet", "classification"] = Field(
        "contrastive", description="with the whole batch, with one negative each, or of product ids (ArcFace)"
    )
    both_directions: bool = Field(True, description="let thumbnails look for their crops too")
    thumbnails_apart: bool = Field(
        True, description="a thumbnail that looks for its crop is pushed from the other thumbnails too"
    )
    mask_same_product: bool = Field(True, description="a row of the same product is no negative")
    margin: float = Field(0.2, ge=0, lt=1, description="of triplets: cosine distance; of classification: radians")
    matryoshka: list[int] = Field(
        default_factory=list, description="shorter lengths at which the beginning of an embedding must work too"
    )
    temperature: float = Field(0.07, gt=0, description="of the softmax over similarities; where a learned one starts")
    learn_temperature: bool = Field(True, description="learn the temperature (CLIP, Radford et al. 2021)")
    trim: bool = Field(True, description="cut off the plain background of thumbnails; carried by the checkpoint")
    scales: list[float] = Field(
        [1.0],
        min_length=1,
        description="centred windows, as shares of the sides, whose vectors are averaged; carried by the checkpoint",
    )
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
    micro_batch: int = Field(
        0, ge=0, description="pairs whose activations are held at once; the others are computed again; 0: all"
    )
    distinct_products: bool = Field(True, description="batches of different products; false: of rows as they come")
    hard_negatives: float = Field(
        0.0, ge=0, le=1, description="share of batches that are made of products and their nearest neighbours"
    )
    mine_every: int = Field(200, ge=1, description="steps between two searches for the nearest neighbours")
    categories: list[str] = Field(default_factory=list, description="train on these categories only; empty: on all")
    in_memory: bool = Field(True, description="decode every picture once and keep it, small, in memory")
    workers: int = Field(0, ge=0, description="processes that decode when pictures are not kept in memory")
    cache_dir: str = Field("", description="where `datasets` keeps its Arrow copy when pictures are streamed")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.height != self.width:
            raise ValueError(f"an encoder's input is square, got {self.height}×{self.width} px")
        if any(not 0 < scale <= 1 for scale in self.scales):
            raise ValueError(f"scales are shares of the sides, over 0 and up to 1, got {self.scales}")
        if any(not 2 <= length < self.dimension for length in self.matryoshka):
            raise ValueError(f"matryoshka lengths are from 2 to under {self.dimension}, got {self.matryoshka}")
        return self
