"""Bytes to pixels, once and within limits: sniffed type, EXIF orientation, alpha on the shop's tile colour."""

import hashlib
import io
import re
import struct
import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from curation.errors import ImageError
from curation.reasons import ImageFault

MAX_BYTES: Final = 20 * 2**20
MAX_PIXELS: Final = 40_000_000
MAX_SCANS: Final = 100
"""How often a JPEG may be drawn over. Encoders do so about a dozen times. Thousands of empty scans fit into a small
file, each taking the decoder through the whole picture; `djpeg -maxscans` is there for the same reason."""
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
_UNSUPPORTED: Final = {
    b"ftypheic": "HEIC", b"ftypheix": "HEIC", b"ftyphevc": "HEIC", b"ftypmif1": "HEIF", b"ftypmsf1": "HEIF",
    b"ftypavif": "AVIF", b"ftypavis": "AVIF",
}  # fmt: skip
"""What phones and cameras make, by the bytes from the fifth on."""
TILE_COLOUR: Final = (244, 244, 244)
"""Ground on which the shop shows transparent thumbnails; dropping alpha instead leaves black or streaked grounds."""
_START_OF_JPEG: Final = b"\xff\xd8"
_START_OF_SCAN: Final = b"\xff\xda"
_END_OF_IMAGE: Final = b"\xff\xd9"
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")  # markers of segments, whose length follows, and the end
_ORIENTATION: Final = 0x0112
_TO_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes the picture upright; any other value means that it is."""
_LYING: Final = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_TELL_ORIENTATION: Final = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")  # names in Pillow's `info`
_DAMAGED: Final = (
    OSError, SyntaxError, ValueError, IndexError, KeyError, EOFError, OverflowError, TypeError, struct.error
)  # fmt: skip
"""What Pillow raises on damaged files."""
_GROUND_TOLERANCE: Final = 20  # largest channel difference, 0-255, at which a pixel still is ground: soft shadows are
_TRIM_SIDE: Final = 128  # px: the background is looked for in a picture reduced to about this
_PLAIN_SHARE: Final = 0.75  # share of the border that must be background; the rest may be legs that leave the picture
_TRIM_LEAST: Final = 0.1  # share of the smaller side; what is smaller than this is a speck, not a garment


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What is known of a picture without keeping its pixels."""

    format: str
    width: int  # px, after EXIF orientation
    height: int  # px, after EXIF orientation
    has_alpha: bool
    sha256: str  # hex digest of the original bytes


def decode(data: bytes) -> Image.Image:
    """Decode to an upright RGB picture.

    Raises:
        ImageError: `data` is empty, too large, not a JPEG/PNG/WebP/GIF, truncated, or has over `MAX_PIXELS` pixels or
            `MAX_SCANS` scans.
    """
    return _decode(data)[0]


def try_decode(data: bytes | None) -> Image.Image | None:
    """As `decode`, but None where there are no bytes or `decode` raises: for callers that know or record why."""
    try:
        return None if data is None else decode(data)
    except ImageError:
        return None


def decode_reduced(data: bytes, side: int) -> tuple[Image.Image, tuple[int, int]]:
    """As `decode`, but a JPEG at 1/2, 1/4 or 1/8 scale while both of its sides keep at least `side` px.

    Returns:
        The picture, upright, and the (width, height) it has at full scale.
    """
    image, _, _, size = _decode(data, side)
    return image, size


def inspect(data: bytes) -> ImageInfo:
    """Decode fully (so that truncation is noticed) and describe. Raises `ImageError` as `decode` does."""
    image, name, has_alpha, _ = _decode(data)
    return ImageInfo(name, image.width, image.height, has_alpha, hashlib.sha256(data).hexdigest())


def foreground(pixels: NDArray[Any], least_plain: float) -> NDArray[np.bool_] | None:
    """What stands before the plain ground that shops photograph on, or None when the ground is not plain.

    The ground is the colour of most of the border.

    Args:
        pixels: (height, width, 3), channels in 0-255, of any signed type.
        least_plain: share of the border that must be ground; the rest may be legs that leave the picture.

    Returns:
        Mask, (height, width).
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = np.median(border, axis=0)
    if (np.abs(border - ground).max(1) <= _GROUND_TOLERANCE).mean() < least_plain:
        return None
    return np.asarray(np.abs(pixels - ground).max(2) > _GROUND_TOLERANCE)


def trim_ground(image: Image.Image) -> Image.Image:
    """Cut off a plain background around a garment, so that a thumbnail fills the input as a crop of a photo does.

    A picture whose border is not plain comes back as it is.
    """
    scale = max(1, max(image.size) // _TRIM_SIDE)
    pixels = np.asarray(image.convert("RGB").reduce(scale), np.int16)
    cloth = foreground(pixels, _PLAIN_SHARE)
    if cloth is None:
        return image
    rows, columns = np.nonzero(cloth)
    if not len(rows):
        return image
    x0, y0, x1, y1 = (int(n) for n in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    if min(x1 - x0, y1 - y0) < _TRIM_LEAST * min(pixels.shape[:2]):
        return image
    return image.crop((x0 * scale, y0 * scale, min(image.width, x1 * scale), min(image.height, y1 * scale)))


def encode_jpeg(image: Image.Image, quality: int = 92) -> bytes:
    """Encode an RGB picture as JPEG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _decode(data: bytes, least: int | None = None) -> tuple[Image.Image, str, bool, tuple[int, int]]:
    """Upright RGB picture, format, whether it has alpha, upright full size; decoded at full scale unless `least`."""
    if not data:
        raise ImageError(ImageFault.EMPTY, "image has zero bytes")
    if len(data) > MAX_BYTES:
        raise ImageError(ImageFault.TOO_MANY_BYTES, f"image has {len(data)} bytes, limit {MAX_BYTES}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the pixel limit below is ours
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(
                    ImageFault.TOO_MANY_PIXELS, f"image is {image.width}×{image.height} px, limit {MAX_PIXELS} px"
                )
            if _has_many_scans(data):
                raise ImageError(ImageFault.TOO_MANY_PIXELS, f"JPEG has over {MAX_SCANS} scans, the limit")
            name, size = str(image.format), image.size
            if least is not None:
                image.draft("RGB", (least, least))
            image.load()
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation in _LYING:
            size = size[::-1]
        has_alpha = _has_alpha(image)
        return _rgb(_upright(image, orientation)), name, has_alpha, size
    except Image.DecompressionBombError as error:
        raise ImageError(ImageFault.TOO_MANY_PIXELS, str(error)) from error
    except UnidentifiedImageError as error:
        kind = _UNSUPPORTED.get(data[4:12])
        found = f", but {kind}" if kind else f": starts {data[:16]!r}"
        raise ImageError(ImageFault.NOT_AN_IMAGE, f"not one of {', '.join(FORMATS)}{found}") from error
    except _DAMAGED as error:
        raise ImageError(ImageFault.TRUNCATED, f"damaged, or cut short: {error}") from error


def _has_many_scans(data: bytes) -> bool:
    """Whether a JPEG has over `MAX_SCANS` scans, found as its decoder finds them."""
    if not data.startswith(_START_OF_JPEG) or data.count(_START_OF_SCAN) <= MAX_SCANS:
        return False
    scans, at = 0, len(_START_OF_JPEG)
    while scans <= MAX_SCANS and (marker := _MARKER.search(data, at)):
        if marker[0] == _END_OF_IMAGE:  # what follows is not decoded, such as the film of a phone's photo
            break
        scans += marker[0] == _START_OF_SCAN
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])  # behind the segment
    return scans > MAX_SCANS


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _upright(image: Image.Image, orientation: Any) -> Image.Image:
    # Pillow's exif_transpose also writes the EXIF anew, and fails on tags that it could read.
    method = _TO_UPRIGHT.get(orientation)
    if method is None:
        return image
    turned = image.transpose(method)
    for name in _TELL_ORIENTATION:
        turned.info.pop(name, None)  # or whoever gets the picture would turn it once more
    return turned


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, of which Pillow would make white all that is above the lowest 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not _has_alpha(image):  # no conversion without need: copies cost time
        return image if image.mode == "RGB" else image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (*TILE_COLOUR, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")
