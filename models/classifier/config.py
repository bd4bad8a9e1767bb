"""Configuration of the category classifier's training. Values for tiny and full size are in `models.presets`."""

from pydantic import Field

from models.config import PictureConfig


class ClassifierConfig(PictureConfig):
    """An image classifier over the seven classes and `etc`, trained on a shop's own categories."""

    also: str = Field("", description="folder of pictures with labels.csv that train besides the catalog")
    boxes: str = Field("", description="detection dataset, from the data's folder: what its boxes hold trains too")
    boxes_share: float = Field(0.5, ge=0, lt=1, description="of a class's pictures, if boxes have the class at all")
    validation_share: float = Field(
        0.15, gt=0, lt=1, description="share of the products of the data that are only measured on"
    )
    smoothing: float = Field(0.05, ge=0, lt=1, description="label smoothing")
    early_learning: float = Field(
        3.0, ge=0, description="how strongly a label is doubted that contradicts what was learned first; 0: not at all"
    )
    accept_precision: float = Field(
        0.99, gt=0, lt=1, description="share of accepted thumbnails that shall be right; sets the threshold"
    )
    ground: float = Field(0.5, ge=0, le=1, description="chance that a plain background gets another colour")
