"""Pairs as a reviewer sees them: in order of doubt, and their pictures from the crawled posts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from curation.doubts import facts_of, read_doubts
from curation.errors import ImageError
from curation.images import decode, encode_jpeg
from curation.tables import ShardedTable
from curation.taxonomy import Category
from models.boxes import Box, clip_box, cut
from search.errors import NotFoundError
from search.photo import scaled
from search.report import CATEGORY_COLOURS

_NEEDED: Final = (
    *("site", "post_id", "post_url", "product_url", "category", "box", "anchor_sha256", "positive_sha256"),
    *("detector_score", "verification_score"),
)
_LARGE: Final = 1024  # px, longest side of a photo as it is shown
_SMALL: Final = 512  # px, of a crop or thumbnail
_DIM: Final = 0.6  # brightness outside the box
_KEPT: Final = 16  # pairs whose pictures stay at hand: a page asks for three pictures of each


@dataclass(frozen=True, slots=True)
class Doubt:
    """One pair and how doubtful it is."""

    id: str  # digest of photo, box and thumbnail
    site: str
    post_id: int
    anchor_sha256: str
    positive_sha256: str
    box: Box  # xyxy, px of the photo
    category: Category
    noise: float  # 0 (all evidence speaks for the pair) to 1
    post_url: str
    product_url: str | None


def in_order(data: Path, version: Path) -> list[Doubt] | None:
    """Every pair of a dataset version that can be doubted, most doubtful first; None until all were looked at."""
    table = read_doubts(data, version)
    return None if table is None else [_doubt(row, row["noise"]) for row in table.to_pylist()]


def in_rough_order(version: Path) -> list[Doubt]:
    """As `in_order`, by the facts alone: the verifier's word where it gave one, the detector's where not."""
    found = []
    for row in facts_of(version, _NEEDED):
        score = row["verification_score"]
        found.append(_doubt(row, 1 - (row["detector_score"] if score is None else score)))
    return sorted(found, key=lambda pair: -pair.noise)


class PairPictures:
    """Photo, crop and thumbnail of pairs, drawn from the posts. Threads may share it."""

    def __init__(self, posts: Path) -> None:
        self._posts = posts
        self._of = lru_cache(_KEPT)(self._read)

    def photo(self, pair: Doubt) -> bytes:
        """JPEG of the whole photo with all but the box dimmed. Raises `NotFoundError`."""
        photo, _ = self._of(pair)
        shown = photo.copy()
        shown.thumbnail((_LARGE, _LARGE))
        box = scaled(pair.box, shown.width / photo.width, shown.height / photo.height)
        box = clip_box(box, shown.width, shown.height)
        dimmed = shown.point(lambda value: value * _DIM)
        dimmed.paste(shown.crop(box), box[:2])
        ImageDraw.Draw(dimmed).rectangle(box, outline=CATEGORY_COLOURS[pair.category], width=3)
        return encode_jpeg(dimmed)

    def crop(self, pair: Doubt) -> bytes:
        """JPEG of what the box shows. Raises `NotFoundError`."""
        return _small(cut(self._of(pair)[0], pair.box))

    def thumbnail(self, pair: Doubt) -> bytes:
        """JPEG of the shop's thumbnail. Raises `NotFoundError`."""
        return _small(self._of(pair)[1])

    def _read(self, pair: Doubt) -> tuple[Image.Image, Image.Image]:
        found: dict[str, bytes] = {}
        for shard in ShardedTable(self._posts, pair.site).shards:
            # Rows are in order of post id: a reader skips every group that does not hold the post.
            rows = pq.read_table(shard.path, columns=["sha256", "bytes"], filters=[("post_id", "=", pair.post_id)])
            found |= dict(zip(rows["sha256"].to_pylist(), rows["bytes"].to_pylist(), strict=True))
            if found:
                break
        try:
            return decode(found[pair.anchor_sha256]), decode(found[pair.positive_sha256])
        except (KeyError, ImageError) as error:
            raise NotFoundError(f"the pictures of pair {pair.id} are not there any more, or damaged") from error


def _doubt(row: Mapping[str, Any], noise: float) -> Doubt:
    x0, y0, x1, y1 = row["box"]
    same = {name: row[name] for name in Doubt.__slots__ if name not in ("id", "box", "noise")}
    return Doubt(id=_digest(row), box=(x0, y0, x1, y1), noise=noise, **same)


def _digest(fact: Mapping[str, Any]) -> str:
    key = f"{fact['anchor_sha256']}/{list(fact['box'])}/{fact['positive_sha256']}"
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def _small(image: Image.Image) -> bytes:
    shown = image.copy()
    shown.thumbnail((_SMALL, _SMALL))
    return encode_jpeg(shown)
