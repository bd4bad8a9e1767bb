"""Step: crops and tagged thumbnails → matches. Every tagged product leaves with crops that may show it, or a reason.

Users tag wrong products, so a crop must also agree in colour with the thumbnail. What passes is verified by a model
afterwards (`models.encoder.verify`).
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Any, ClassVar, Final

import pyarrow as pa

from curation.colours import Colours, colour_agreement, crop_colours, thumbnail_colours
from curation.engine import KEPT
from curation.images import decode
from curation.pairing import PairingRules, pair_post
from curation.posts import posts_in_step
from curation.reasons import PairDrop
from curation.schemas import TAG_MATCHES
from curation.tables import Shard, rows_to_batch

Row = dict[str, Any]
_COPIED = ("site", "post_id", "post_url", "product_id", "product_url", "crawled_at")
_ROWS_AT_ONCE: Final = 256
_VERDICT = ("role", "sha256", "cluster_id", "is_representative", "phash")


class MatchTags:
    """Step: POSTS, CROPS, THUMBNAILS and CLUSTERS shards → TAG_MATCHES shard. Args: see `PairingRules`."""

    version: ClassVar[str] = "2"
    schema: ClassVar[pa.Schema] = TAG_MATCHES

    def __init__(self, **rules: float) -> None:
        self._rules = PairingRules(**rules)

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """Match post after post. A batch is a row group on disk, of which a reader wants few."""
        rows = self._rows(*shards)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            counts.update(row["reason"] or KEPT for row in some)
            yield rows_to_batch(some, TAG_MATCHES)

    def _rows(self, *shards: Shard) -> Iterator[Row]:
        *tables, clusters = shards
        verdicts = (row for batch in clusters.batches(_VERDICT) for row in batch.to_pylist())
        self._clusters = {(row["role"], row["sha256"]): row for row in verdicts}
        self._of_thumbnail: dict[str, Colours] = {}  # most are tagged again and again
        seen: set[tuple[str, str]] = set()
        for pictures, crops, thumbnails in posts_in_step(*tables):
            if self._is_ready(pictures, crops, thumbnails):
                yield from self._match(pictures, crops, thumbnails, seen)

    def _is_ready(self, pictures: list[Row], crops: list[Row], thumbnails: list[Row]) -> bool:
        """Whether the post still has the pictures that were cropped and classified, and those that may pair a cluster.

        A crawl under way may have added the post after the hashing, and without clusters all such posts would be one
        pair; or it found other pictures in their places since. Such a shard is matched again by the run that follows.
        """
        now = {(row["role"], row["position"]): row["sha256"] for row in pictures}
        seen = [*(("photo", crop) for crop in crops), *(("product", thumbnail) for thumbnail in thumbnails)]
        for role, row in seen:
            place = role, row["position"]
            if place not in now:
                return False
            if row["kept"] and (now[place] != row["image_sha256"] or (role, now[place]) not in self._clusters):
                return False
        return True

    def _match(
        self, rows: list[Row], crops: list[Row], thumbnails: list[Row], seen: set[tuple[str, str]]
    ) -> Iterator[Row]:
        pictures = {(row["role"], row["position"]): row for row in rows}
        photos: dict[int, list[Row]] = {position: [] for role, position in pictures if role == "photo"}
        for crop in crops:
            if crop["kept"]:
                photos[crop["position"]].append(crop)
        reposts = {position for position in photos if self._is_repost(pictures["photo", position])}
        of_crop: dict[int, Colours] = {}

        def agreement(crop: Row, thumbnail: Row) -> float:
            if id(crop) not in of_crop:
                of_crop[id(crop)] = crop_colours(decode(crop["bytes"]))
            return colour_agreement(of_crop[id(crop)], self._colours(pictures["product", thumbnail["position"]]))

        for thumbnail, shown, reason in pair_post(photos, thumbnails, reposts, agreement, self._rules):
            product = pictures["product", thumbnail["position"]]
            photo = pictures["photo", shown["position"]] if shown else None
            row = self._row(product, photo, thumbnail, shown)
            if shown:
                row["colour_agreement"] = agreement(shown, thumbnail)
                key = (row["photo_cluster_id"], row["product_cluster_id"])
                if row["colour_agreement"] < self._rules.least_agreement:
                    reason = PairDrop.COLOURS_DIFFER
                elif key in seen:
                    reason = PairDrop.DUPLICATE_PAIR
                else:
                    seen.add(key)
            yield {**row, "kept": reason is None, "reason": reason}

    def _colours(self, product: Row) -> Colours:
        if product["sha256"] not in self._of_thumbnail:
            self._of_thumbnail[product["sha256"]] = thumbnail_colours(decode(product["bytes"]))
        return self._of_thumbnail[product["sha256"]]

    def _is_repost(self, photo: Row) -> bool:
        cluster = self._clusters.get(("photo", photo["sha256"]))
        return cluster is not None and not cluster["is_representative"]

    def _row(self, product: Row, photo: Row | None, thumbnail: Row, crop: Row | None) -> Row:
        positive = self._clusters.get(("product", product["sha256"]))
        anchor = self._clusters.get(("photo", photo["sha256"])) if photo else None
        return {
            **{name: product[name] for name in _COPIED},
            "product_cluster_id": positive and positive["cluster_id"],
            "photo_cluster_id": anchor and anchor["cluster_id"],
            "category": thumbnail["category"],
            "photo_position": crop["position"] if crop else -1,
            "product_position": thumbnail["position"],
            "box": crop and crop["box"],
            "detector_score": crop and crop["score"],
            "classifier_probability": thumbnail["probability"],
            "colour_agreement": None,
            "encoder_similarity": None,
            "verification_score": None,
            "anchor_sha256": photo and photo["sha256"],
            "crop_sha256": sha256(crop["bytes"]).hexdigest() if crop else None,
            "positive_sha256": product["sha256"],
            "anchor_phash": anchor and anchor["phash"],
            "positive_phash": positive and positive["phash"],
            "detector_version": crop["detector_version"] if crop else "",
            "classifier_version": thumbnail["classifier_version"],
        }
