"""Scores against the truth of the drawn world: what a real crawl can never know.

Works on plain rows, so that it depends on no other room: boxes are xyxy pixels of the upright photo.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

Row = Mapping[str, Any]
PhotoKey = tuple[str, int, int]  # site, post id, position

MIN_IOU: Final = 0.5
"""A crop shows a garment when it overlaps its true box at least this much."""
MIN_VISIBLE: Final = 0.5
"""A garment that is hidden more than this cannot be asked for."""


class Judge:
    """Knows which product each true box shows, and which pairs could be found at all."""

    def __init__(self, truth: Mapping[str, pa.Table]) -> None:
        self._truth = truth
        self._ids = {
            site: {row[f"{site}_id"]: row["product_id"] for row in truth["products"].to_pylist()}
            for site in ("kream", "onthelook")
        }
        self._boxes: dict[PhotoKey, list[Row]] = defaultdict(list)
        self._worn: dict[tuple[str, int], int | None] | None = None
        if "boxes" in truth:
            for row in truth["boxes"].to_pylist():
                self._boxes[row["site"], row["post_id"], row["position"]].append(row)
        else:
            self._worn = {(row["site"], row["post_id"]): row["worn_product_id"] for row in truth["tags"].to_pylist()}

    def boxes(self, photo: PhotoKey) -> list[Row]:
        """True boxes of a photo, bystanders' included."""
        return self._boxes[photo]

    def product(self, site: str, site_id: str | None) -> int | None:
        """The world's product behind a site's product id."""
        return self._ids[site].get(site_id) if site_id else None

    def shown(self, photo: PhotoKey, box: Sequence[float]) -> int | None:
        """The product that a crop shows, or None: nothing, or a bystander's garment.

        Real photos have no true boxes: there every crop is taken to show the one product that the post wears.
        """
        if self._worn is not None:
            return self._worn.get(photo[:2])
        found = max(self._boxes[photo], key=lambda row: iou(row["box"], box), default=None)
        return found["product_id"] if found is not None and iou(found["box"], box) >= MIN_IOU else None

    def is_right(self, pair: Row) -> bool:
        """Whether the crop of a pair shows the very product of its thumbnail."""
        photo = (pair["site"], pair["post_id"], pair["photo_position"])
        product = self.product(pair["site"], pair["product_id"])
        return product is not None and self.shown(photo, pair["box"]) == product

    def pairable(self) -> set[tuple[str, int, int]]:
        """(site, post id, product) of all right pairs that the world offers.

        The tag is right, the garment is at least half visible in a photo that is not broken, the site has a usable
        thumbnail, and the post is online, not marked as made by AI, and no repost.
        """
        lost = {
            (row["site"], row["post_id"])
            for row in self._truth["posts"].to_pylist()
            if row["gone"] or row["ai_made"] or row["repost_of"] is not None
        }
        broken = self._truth["broken"].to_pylist() if "broken" in self._truth else []
        no_thumbnail = {(row["site"], row["product_id"]) for row in broken if row["role"] == "thumbnail"}
        no_photo = {(row["site"], row["post_id"], row["position"]) for row in broken if row["role"] == "photo"}
        right = {
            (row["site"], row["post_id"], row["product_id"])
            for row in self._truth["tags"].to_pylist()
            if row["right"] and (row["site"], row["product_id"]) not in no_thumbnail
        }
        if self._worn is not None:
            return right
        worn = {
            (photo[0], photo[1], row["product_id"])
            for photo, rows in self._boxes.items()
            for row in rows
            if photo not in no_photo and row["product_id"] is not None and row["visible"] >= MIN_VISIBLE
        }
        return {key for key in worn & right if key[:2] not in lost}


def pair_scores(judge: Judge, pairs: Iterable[Row]) -> dict[str, float]:
    """`pair_precision` and `pair_recall` of kept pairs. Raises `ValueError` when there is nothing to score."""
    kept = list(pairs)
    right = [pair for pair in kept if judge.is_right(pair)]
    possible = judge.pairable()
    if not kept or not possible:
        raise ValueError(f"{len(kept)} pairs kept of {len(possible)} possible: nothing to score")
    found = {(pair["site"], pair["post_id"], judge.product(pair["site"], pair["product_id"])) for pair in right}
    return {"pair_precision": len(right) / len(kept), "pair_recall": len(found & possible) / len(possible)}


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two xyxy boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
