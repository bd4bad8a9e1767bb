"""Bytes to pixels: formats, orientation, transparency, and everything that is no picture."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from curation.errors import ImageError
from curation.images import (
    MAX_BYTES,
    MAX_SCANS,
    TILE_COLOUR,
    decode,
    decode_reduced,
    encode_jpeg,
    inspect,
    trim_ground,
    try_decode,
)
from tests.curation.builders import framed, scene, sha


def _png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG header that promises width × height pixels, and no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def exif_of(*tags: tuple[int, int, bytes]) -> bytes:
    """EXIF with one value each of (tag, TIFF type, bytes), little-endian."""
    entries, long = b"", b""
    start = 8 + 2 + 12 * len(tags) + 4
    for tag, kind, value in tags:
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", start + len(long))
        entries += struct.pack("<HHI", tag, kind, 1) + place
        long += value if len(value) > 4 else b""
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return b"Exif\0\0" + header + entries + struct.pack("<I", 0) + long


def turned(orientation: int, kind: str, *more: tuple[int, int, bytes]) -> bytes:
    """A picture of 30 × 20 px stored as this EXIF orientation says."""
    buffer = io.BytesIO()
    notes = exif_of((0x0112, 3, struct.pack("<H", orientation)), *more)
    scene(1, (30, 20)).save(buffer, kind, exif=notes)
    return buffer.getvalue()


def noted(key: str, value: str) -> bytes:
    """A PNG with a text chunk."""
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt(key, value)
    return _png(scene(1), pnginfo=notes)


def scans_of(data: bytes) -> list[bytes]:
    """A progressive JPEG's parts: what precedes its first scan, then scan by scan with the tables before it."""
    return re.split(rb"(?=\xff\xc4)", data.removesuffix(b"\xff\xd9"))


def progressive(more: int = 0, hidden: bytes = b"", side: int = 64) -> bytes:
    """A progressive JPEG whose last scan is there so many times more, each after some bytes, with its end marker."""
    buffer = io.BytesIO()
    scene(1, (side, side)).convert("L").save(buffer, "JPEG", progressive=True)
    *head, last = scans_of(buffer.getvalue())
    return b"".join([*head, last, *[hidden + last] * more, b"\xff\xd9"])


def test_decode__transparent_png_lies_on_the_tile_colour() -> None:
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    image.putpixel((3, 4), (255, 0, 0, 255))
    decoded = decode(_png(image))
    assert decoded.getpixel((0, 0)) == TILE_COLOUR
    assert decoded.getpixel((3, 4)) == (255, 0, 0)


def test_decode__palette_transparency_lies_on_the_tile_colour() -> None:
    image = Image.new("P", (8, 8), 0)
    assert decode(_png(image, transparency=0)).getpixel((1, 1)) == TILE_COLOUR


def test_decode__sixteen_bits_are_seen_as_eight() -> None:
    levels = np.arange(0, 2**16, 16, np.uint16).reshape(64, 64)
    assert np.array_equal(np.asarray(decode(_png(Image.fromarray(levels))))[..., 0], levels >> 8)


def test_decode__exif_rotation_is_applied() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 270° to be upright
    scene(1, (30, 20)).save(buffer, "JPEG", exif=exif)
    assert decode(buffer.getvalue()).size == (20, 30)
    assert inspect(buffer.getvalue()).width == 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 mean nothing
def test_decode__each_orientation_is_as_pillow_has_it_and_not_told_again(orientation: int, kind: str) -> None:
    data = turned(orientation, kind)
    plain = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    decoded = decode(data)
    assert np.array_equal(np.asarray(decoded), np.asarray(plain))
    assert np.array_equal(np.asarray(ImageOps.exif_transpose(decoded)), np.asarray(plain))
    assert decode_reduced(data, 10)[1] == decoded.size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "note",
    [(0x927C, 16, struct.pack("<Q", 2**40)), (0x010E, 12, struct.pack("<d", 1.5)), (0x02BC, 12, bytes(8))],
    ids=["long8", "double for text", "double for bytes"],
)
def test_decode__notes_that_pillow_cannot_write_do_not_matter(note: tuple[int, int, bytes], kind: str) -> None:
    assert decode(turned(6, kind, note)).size == (20, 30)


def test_inspect__describes_original_bytes() -> None:
    data = encode_jpeg(scene(1))
    info = inspect(data)
    assert (info.format, info.width, info.height, info.has_alpha, info.sha256) == ("JPEG", 240, 300, False, sha(data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>Not found</html>", "not_an_image"),
        (encode_jpeg(scene(1))[:2000], "truncated"),
        (bomb(20_000, 20_000), "too_many_pixels"),
        (bomb(100_000, 100_000), "too_many_pixels"),
        (bomb(8_000, 5_001), "too_many_pixels"),  # which Pillow would open
        (b"\xff" * (MAX_BYTES + 1), "too_many_bytes"),
        (_png(scene(1))[:500], "truncated"),
        (_png(scene(1), exif=b"Exif\0\0II*\0"), "truncated"),
        (noted("exif", "x"), "truncated"),
        (noted("transparency", "x"), "truncated"),
    ],
)
def test_decode__bad_bytes_name_their_fault(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x24ftypheic\0\0\0\0mif1heic", "not one of JPEG, PNG, WEBP, GIF, but HEIC"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1", "not one of JPEG, PNG, WEBP, GIF, but AVIF"),
        (encode_jpeg(scene(1))[:2000], r"damaged, or cut short: image file is truncated \(\d+ bytes not processed\)"),
    ],
)
def test_decode__says_what_it_is_instead(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=f"^{message}$"):
        decode(data)


@pytest.mark.parametrize("data", [None, b"", b"<html>"])
def test_try_decode__none_where_there_is_no_picture(data: bytes | None) -> None:
    assert try_decode(data) is None


def test_try_decode__a_picture() -> None:
    found = try_decode(encode_jpeg(scene(1, (30, 20))))
    assert found
    assert found.size == (30, 20)


@pytest.mark.parametrize(
    "hidden", [b"", b"\xff\x01\xff\xff", b"\xff\xd0\xff\xff", b"\xff\x02\xff\xff", b"\xff\xff\xff"]
)
def test_decode__jpeg_that_is_drawn_over_again_and_again_is_refused(hidden: bytes) -> None:
    with pytest.raises(ImageError, match="JPEG has over 100 scans") as caught:
        decode(progressive(200, hidden))
    assert caught.value.reason == "too_many_pixels"


def test_decode__jpeg_of_as_many_scans_as_are_allowed() -> None:
    more = MAX_SCANS - progressive().count(b"\xff\xda")
    assert decode(progressive(more) + b"\xff\xda").size == (64, 64)  # what follows its end is no scan
    with pytest.raises(ImageError, match="JPEG has over 100 scans"):
        decode(progressive(more + 1))


def test_decode__jpeg_of_many_scans_and_what_follows_its_end() -> None:
    assert decode(progressive(50)).size == (64, 64)
    film = b"\xff\xda" * 1000  # phones append a film to a photo, in which any bytes may be
    assert decode(progressive() + film).size == (64, 64)


def test_decode__what_follows_a_jpeg_is_no_scan_of_it() -> None:
    film = progressive(3 * MAX_SCANS, hidden=bytes(1000))  # of a phone's photo, far longer than a segment
    assert decode(progressive() + film).size == (64, 64)


def test_decode__jpeg_notes_are_no_scans() -> None:
    comment = b"\xff\xda\xff\xd9" * 1000
    buffer = io.BytesIO()
    scene(1).save(buffer, "JPEG", progressive=True, comment=comment)
    assert decode(buffer.getvalue()).size == scene(1).size


@pytest.mark.parametrize("ground", [(255, 255, 255), (244, 244, 244), (40, 60, 80)])
def test_trim_ground__what_is_left_is_the_garment(ground: tuple[int, int, int]) -> None:
    result = trim_ground(framed(ground=ground))
    assert result.width == pytest.approx(90, abs=4)
    assert result.height == pytest.approx(210, abs=4)
    assert (np.asarray(result) == (200, 30, 30)).all(2).mean() > 0.95


def test_trim_ground__soft_shadow_is_background() -> None:
    image = framed()
    image.paste((230, 230, 230), (60, 270, 240, 290))
    assert trim_ground(image).height == pytest.approx(210, abs=4)


def test_trim_ground__garment_that_leaves_the_picture() -> None:
    result = trim_ground(framed(box=(90, 60, 180, 300)))
    assert result.size == (pytest.approx(90, abs=4), pytest.approx(240, abs=4))


@pytest.mark.parametrize(
    "image",
    [
        Image.effect_noise((200, 150), 80).convert("RGB"),
        Image.new("RGB", (200, 150), "white"),
        framed(box=(100, 100, 103, 103)),
        Image.new("RGB", (1, 1), "red"),
    ],
    ids=["busy", "blank", "speck", "one pixel"],
)
def test_trim_ground__left_as_it_is(image: Image.Image) -> None:
    assert trim_ground(image) is image
