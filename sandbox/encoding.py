"""Pictures as bytes: JPEG with EXIF, resized copies, reposts, and the ways in which an image can be broken."""

import io
import zlib
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from sandbox.drawing.canvas import DrawnBox, DrawnPhoto

BOMB_SIDE: Final = 20_000
"""Width and height of the decompression bomb, px: 400 million pixels in about 50 kB."""
RESIZED_QUALITY: Final = 80
HTML: Final = b"<!doctype html><html><head><title>Not found</title></head><body><h1>404</h1></body></html>"
_EXIF_ORIENTATION: Final = 0x0112
_STORED_AS: Final = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
_KEPT_WHEN_TRUNCATED: Final = 0.4  # part of the bytes that arrive
_WATERMARK: Final = "@ootd.daily"


def jpeg(image: Image.Image, quality: int, orientation: int = 1) -> bytes:
    """Encode an upright picture as JPEG, stored turned with an EXIF tag when `orientation` is not 1."""
    exif = Image.Exif()
    if orientation != 1:
        exif[_EXIF_ORIENTATION] = orientation
        image = image.transpose(_STORED_AS[orientation])
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def resized(data: bytes, width: int) -> bytes:
    """Return a smaller, upright copy at most `width` px wide, in the picture's own format; never an enlarged one.

    Raises ValueError when `width` is not positive.
    """
    if width < 1:
        raise ValueError(f"width: must be at least 1 px, is {width}")
    with Image.open(io.BytesIO(data)) as stored:
        kind = stored.format or "JPEG"
        image = ImageOps.exif_transpose(stored)
    if width >= image.width:
        width = image.width
    image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=RESIZED_QUALITY)
    return buffer.getvalue()


def second_hand_scale(rng: np.random.Generator) -> float:
    """By how much another site's copy of a shop picture is larger."""
    return float(rng.uniform(0.85, 1.15))


def second_hand(data: bytes, rng: np.random.Generator) -> bytes:
    """Return another site's copy of a shop picture: resized, on white, encoded anew as JPEG."""
    with Image.open(io.BytesIO(data)) as stored:
        image = stored.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    scale = second_hand_scale(rng)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    return jpeg(image, int(rng.integers(60, 86)))


def broken(data: bytes, fault: str) -> bytes:
    """Return what arrives instead of `data`: "truncated", "empty", "html" or "bomb"."""
    if fault == "truncated":
        return data[: int(len(data) * _KEPT_WHEN_TRUNCATED)]
    if fault == "empty":
        return b""
    if fault == "html":
        return HTML
    if fault == "bomb":
        return bomb()
    raise ValueError(f"fault: unknown kind {fault!r}")


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)


@lru_cache(1)
def bomb() -> bytes:
    """Return a valid 1-bit PNG (ISO/IEC 15948) of 20,000 × 20,000 px, packed without ever holding its pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + BOMB_SIDE // 8)
    pixels = b"".join(packer.compress(row) for _ in range(BOMB_SIDE)) + packer.flush()
    header = BOMB_SIDE.to_bytes(4) * 2 + bytes((1, 0, 0, 0, 0))
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", pixels), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def copied(photo: DrawnPhoto, kind: str, rng: np.random.Generator) -> DrawnPhoto:
    """Return the photo as a reposter would upload it, its boxes moved along. `kind` is one of `flaws.COPY_KINDS`."""
    image, boxes = photo.image, photo.boxes
    if kind in ("crop", "repost"):
        image, boxes = _cropped(image, boxes, rng)
    if kind in ("resize", "repost"):
        image, boxes = _scaled(image, boxes, float(rng.uniform(0.7, 0.92)))
    if kind in ("watermark", "repost"):
        image = image.copy()
        corner = (image.width * 0.04, image.height * float(rng.uniform(0.85, 0.93)))
        ImageDraw.Draw(image).text(corner, _WATERMARK, fill=(255, 255, 255), stroke_width=1, stroke_fill=(60, 60, 60))
    with Image.open(io.BytesIO(jpeg(image, int(rng.integers(45, 70))))) as again:
        return DrawnPhoto(again.convert("RGB"), boxes)


def _cropped(
    image: Image.Image, boxes: tuple[DrawnBox, ...], rng: np.random.Generator
) -> tuple[Image.Image, tuple[DrawnBox, ...]]:
    shares = rng.uniform(0.0, 0.05, size=4).tolist()
    left, top, right, bottom = (round(s * side) for s, side in zip(shares, image.size * 2, strict=True))
    frame = (left, top, image.width - right, image.height - bottom)
    moved = []
    for box in boxes:
        x0, y0, x1, y1 = box.box
        cut = (max(x0, frame[0]), max(y0, frame[1]), min(x1, frame[2]), min(y1, frame[3]))
        if cut[2] > cut[0] and cut[3] > cut[1]:
            moved.append(replace(box, box=(cut[0] - left, cut[1] - top, cut[2] - left, cut[3] - top)))
    return image.crop(frame), tuple(moved)


def _scaled(image: Image.Image, boxes: tuple[DrawnBox, ...], scale: float) -> tuple[Image.Image, tuple[DrawnBox, ...]]:
    size = (round(image.width * scale), round(image.height * scale))
    sx, sy = size[0] / image.width, size[1] / image.height
    moved = tuple(replace(b, box=(b.box[0] * sx, b.box[1] * sy, b.box[2] * sx, b.box[3] * sy)) for b in boxes)
    return image.resize(size, Image.Resampling.BICUBIC), moved
