"""Image addresses as the two retailers form them, and back: which picture an address means.

An address is a pure function of seed and key, so a site needs no table of addresses and two runs serve the same ones.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sandbox.sites.source import KREAM, ONTHELOOK

_KREAM: Final = re.compile(
    r"^/images/[\w=-]+/(?P<stamp>[\w=-]+)\.\w+\.(JPEG|PNG)/(?P<kind>[pa])_(?P<token>[0-9a-f]{32})\.(jpeg|png)$"
)
_ONTHELOOK_POST: Final = re.compile(r"^/images/posts/(?P<stamp>\d{17})(?P<post>\d{10})(?P<position>\d{2})\.jpg$")
_ONTHELOOK_PRODUCT: Final = re.compile(r"^/images/pr/(?P<token>[0-9a-f]{32})\.jpg$")
_EPOCH: Final = datetime(2024, 3, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PictureKey:
    """One picture of a site: a photo of a post (`item` is the post id) or of a product (`item` is the product id)."""

    site: str
    role: str  # photo or product
    item: int
    position: int = 0


class Addresses:
    """Makes and reads the image paths of one world."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def path(self, key: PictureKey, when: datetime = _EPOCH) -> str:
        """Path of the original picture; a query selects another size."""
        if key.site == KREAM:
            return self._kream(key, when)
        if key.role == "photo":
            return (
                f"/images/posts/{when:%Y%m%d%H%M%S}{when.microsecond // 1000:03d}{key.item:010d}{key.position:02d}.jpg"
            )
        return f"/images/pr/{self._token(key)}.jpg"

    def key(self, path: str) -> PictureKey | None:
        """The picture that a path means, or None when the world has no such path."""
        if match := _ONTHELOOK_POST.match(path):
            return PictureKey(ONTHELOOK, "photo", int(match["post"]), int(match["position"]))
        if match := _ONTHELOOK_PRODUCT.match(path):
            return self._checked(ONTHELOOK, "product", match["token"])
        if match := _KREAM.match(path):
            return self._checked(KREAM, "photo" if match["kind"] == "p" else "product", match["token"])
        return None

    def _kream(self, key: PictureKey, when: datetime) -> str:
        day = _base64(f"{when:%Y%m%d}_{key.item % 300}")
        stamp = _base64(f"{int(when.timestamp() * 1000)}")
        kind, suffix = ("p", "jpeg") if key.role == "photo" else ("a", "png")
        token = self._token(key)
        return f"/images/{day}/{stamp}.{token[-8:]}g.{suffix.upper()}/{kind}_{token}.{suffix}"

    def _token(self, key: PictureKey) -> str:
        head = f"{key.item:010x}{key.position:02x}"
        digest = hashlib.blake2b(f"{self._seed}/{key.site}/{key.role}/{head}".encode(), digest_size=10).hexdigest()
        return head + digest

    def _checked(self, site: str, role: str, token: str) -> PictureKey | None:
        key = PictureKey(site, role, int(token[:10], 16), int(token[10:12], 16))
        return key if self._token(key) == token else None


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
