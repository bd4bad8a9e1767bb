"""Configuration of the category classifier's training. Values for tiny and full size are in `models.presets`."""

from pydantic import Field

from models.config import PictureConfig


class ClassifierConfig(PictureConfig):
    """An image classifier over the seven classes and `etc`, trained on a shop's own categories."""

    also: str = Field("", description="folder of pictures with labels.csv that train besides the catalog")
    validation_share: float = Field(0.15, gt=0, lt=1, description="share of products that are only measured on")
    smoothing: float = Field(0.05, ge=0, lt=1, description="label smoothing: shops file some products wrongly")
    ground: float = Field(0.5, ge=0, le=1, description="chance that a plain background gets another colour")
