"""Serves pictures: drawn on demand in one worker thread, kept in a small cache, resized as the query asks."""

import asyncio
import io
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PIL import Image, ImageOps

from sandbox.sites.addresses import PictureKey
from sandbox.sites.source import Source

_CACHE_BYTES: Final = 96 * 2**20  # the thumbnails of a thousand posts, and the photos that are being crawled
_MAX_PIXELS: Final = 40_000_000  # a bomb is served as it is, never opened here
_MAGIC: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"<", "text/html; charset=utf-8"),
)


@dataclass(frozen=True, slots=True)
class Size:
    """Another size of a picture: at most `width` px wide, as WebP or in the original's own format."""

    width: int
    webp: bool = False


class PictureServer:
    """Bytes of the world's pictures by key and size."""

    def __init__(self, source: Source, cache_bytes: int = _CACHE_BYTES) -> None:
        self._source = source
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="draw")
        self._cache: OrderedDict[PictureKey, bytes] = OrderedDict()
        self._cached = 0
        self._limit = cache_bytes

    async def get(self, key: PictureKey, size: Size | None) -> bytes:
        """Bytes as served. Raises `KeyError` when the world has no such picture."""
        if size is None and key in self._cache:
            return self._cache[key]
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._make, key, size)

    def close(self) -> None:
        """Stop the drawing thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, key: PictureKey, size: Size | None) -> bytes:
        data = self._cache.get(key)
        if data is None:
            data = self._draw(key)
            self._remember(key, data)
        return data if size is None else resized(data, size)

    def _draw(self, key: PictureKey) -> bytes:
        if key.role == "photo":
            return self._source.photo(key.site, key.item, key.position)
        if not self._source.has_thumbnail(key.site, key.item):
            raise KeyError(key.item)
        return self._source.thumbnail(key.site, key.item)

    def _remember(self, key: PictureKey, data: bytes) -> None:
        self._cache[key] = data
        self._cached += len(data)
        while self._cached > self._limit and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._cached -= len(dropped)


def media_type(data: bytes) -> str:
    """Content type by the first bytes; what is no picture is called one, as careless servers do, unless it is HTML."""
    if data[8:12] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in _MAGIC if data.startswith(magic)), "image/jpeg")


@lru_cache(maxsize=64)
def resized(data: bytes, size: Size) -> bytes:
    """The picture made smaller; broken bytes are returned as they are, as an image server would pass them on."""
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > _MAX_PIXELS:
            return data
        name = "WEBP" if size.webp else str(image.format)
        upright = ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return data
    upright.thumbnail((size.width, size.width * 4))
    buffer = io.BytesIO()
    (upright.convert("RGB") if name == "JPEG" else upright).save(buffer, name, quality=75)
    return buffer.getvalue()
