"""A photo from a client: decoded once, in bounded memory, at a size that the models can use."""

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from PIL import Image

from curation.errors import ImageError
from curation.images import decode_reduced
from models.boxes import Box, cut
from search.errors import BadPhotoError, BadRequestError

LONGEST: Final = 1600  # px; the models look at less, and photos wait in a queue
MIN_SIDE: Final = 8  # px; a smaller box holds nothing to recognise


@dataclass(frozen=True, slots=True)
class Photo:
    """An upright photo. Boxes count in its own px, whatever scale `image` has."""

    image: Image.Image  # RGB, longest side at most `LONGEST`
    width: int  # px
    height: int  # px
    seconds: float = 0.0  # that decoding took

    @property
    def whole(self) -> Box:
        """The box around everything."""
        return 0.0, 0.0, float(self.width), float(self.height)

    def clip(self, box: Box) -> Box:
        """The part of a box that lies on the photo."""
        x0, y0, x1, y1 = box
        return max(0.0, x0), max(0.0, y0), min(float(self.width), x1), min(float(self.height), y1)

    def check(self, box: Box) -> Box:
        """Clip a box from a client. Raises `BadRequestError` when too little is left."""
        if not all(map(math.isfinite, box)):
            raise BadRequestError(f"box: four finite numbers, got {box}")
        inside = self.clip(box)
        if shorter_side(inside) < MIN_SIDE:
            raise BadRequestError(
                f"box: at least {MIN_SIDE}×{MIN_SIDE} px inside the photo of {self.width}×{self.height} px, got {box}"
            )
        return inside

    def cut(self, box: Box) -> Image.Image:
        """What a box shows, of a box that meets the photo."""
        return cut(self.image, scaled(box, self.image.width / self.width, self.image.height / self.height))

    def from_image(self, box: Box) -> Box:
        """A box in px of `image`, in px of the photo."""
        return self.clip(scaled(box, self.width / self.image.width, self.height / self.image.height))


def open_photo(data: bytes) -> Photo:
    """Decode JPEG, PNG, WebP or GIF bytes. Raises `BadPhotoError` when they are no usable picture."""
    start = perf_counter()
    try:
        image, (width, height) = decode_reduced(data, LONGEST)
    except ImageError as error:
        raise BadPhotoError(f"photo: {error.reason}: {error}") from error
    image.thumbnail((LONGEST, LONGEST), reducing_gap=2.0)
    return Photo(image, width, height, perf_counter() - start)


def shorter_side(box: Box) -> float:
    """Of a box; negative where it is turned inside out."""
    return min(box[2] - box[0], box[3] - box[1])


def scaled(box: Box, across: float, down: float | None = None) -> Box:
    """A box in px of a picture `across` times as wide and `down` (by default `across`) times as high.

    Sides are whole px, so a picture that was made smaller may have two scales that differ: much, where it is narrow.
    """
    down = across if down is None else down
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down
