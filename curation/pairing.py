"""Pairing rules: which crop of a post shows which tagged product.

The baseline is the rule of the field's prior work: a post photo and its tagged thumbnails pair by class, unless a class
is ambiguous on either side. A product pairs with every photo of its post that shows it: more views of it to learn from.
Users tag wrong products, so a pair must also agree in colour. Every tagged product leaves with pairs or with reasons.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curation.colours import Colours, colour_agreement, crop_colours, thumbnail_colours
from curation.images import decode
from curation.reasons import PairDrop
from curation.schemas import CANDIDATES
from curation.tables import Shard, ShardedTable, rows_to_batch

Row = dict[str, Any]
_COPIED = ("site", "post_id", "post_url", "product_id", "product_url", "crawled_at")
_VERDICT = ("role", "sha256", "cluster_id", "is_representative", "phash")
Box = Sequence[float]


@dataclass(frozen=True)
class PairingRules:
    """When a class is ambiguous in one photo, and when a pair is not believed. The prior rules are (2, 0, 0, 0)."""

    most_shoes: int = 2  # a person wears two shoes, and one of everything else
    dominance: float = 0.35
    """A further box of a class is somebody in the background, and ignored, when its area is below this share of the
    largest one's; 0: any second box makes the photo ambiguous."""
    least_agreement: float = 0.6
    """Least agreement of colours, 0-1; 0 believes every tag. On drawn posts this drops half of the wrong pairs and
    one in forty of the right ones."""
    least_verification: float = 0.42
    """Least product of detector score, classifier probability and agreement, 0-1. `docs/decisions/0005` says what it
    costs and brings on drawn posts."""


def usable_crops(crops: Iterable[Row], rules: PairingRules) -> tuple[dict[str, Row], set[str]]:
    """The best crop per class of one photo, and the classes that are ambiguous in it.

    Args:
        crops: kept detections of one photo (`category`, `score`, `box`).
        rules: when a class is ambiguous.
    """
    by_class: dict[str, list[Row]] = defaultdict(list)
    for crop in crops:
        by_class[crop["category"]].append(crop)
    best: dict[str, Row] = {}
    ambiguous: set[str] = set()
    for category, found in by_class.items():
        largest = max(_area(crop["box"]) for crop in found)
        foreground = [crop for crop in found if _area(crop["box"]) >= rules.dominance * largest]
        if len(foreground) > (rules.most_shoes if category == "shoes" else 1):
            ambiguous.add(category)
        else:
            best[category] = max(foreground, key=lambda crop: crop["score"])
    return best, ambiguous


def pair_post(
    photos: Mapping[int, list[Row]], thumbnails: Sequence[Row], reposts: set[int], rules: PairingRules
) -> Iterator[tuple[Row, Row | None, PairDrop | None]]:
    """Decide every tagged product of one post: one (thumbnail, crop, None) for each photo that shows its class, the
    surest first, or one (thumbnail, None, reason).

    Args:
        photos: kept crops by photo position.
        thumbnails: THUMBNAILS rows of the post.
        reposts: positions of photos that are near-duplicates of an earlier post's photo.
        rules: when a class is ambiguous.
    """
    fresh = [usable_crops(crops, rules) for position, crops in photos.items() if position not in reposts]
    tags = Counter(thumbnail["category"] for thumbnail in thumbnails if thumbnail["kept"])
    for thumbnail in thumbnails:
        category = thumbnail["category"]
        crops = [best[category] for best, _ in fresh if category in best]
        if not thumbnail["kept"]:
            reason: PairDrop | None = PairDrop.THUMBNAIL
        elif tags[category] > 1:
            reason = PairDrop.AMBIGUOUS_TAGS
        elif reposts and not fresh:
            reason = PairDrop.REPOST
        elif crops:
            reason = None
        elif any(category in ambiguous for _, ambiguous in fresh):
            reason = PairDrop.AMBIGUOUS_BOXES
        else:
            reason = PairDrop.NO_BOX
        if reason:
            yield thumbnail, None, reason
        else:
            yield from ((thumbnail, crop, None) for crop in sorted(crops, key=itemgetter("score"), reverse=True))


class PairCandidates:
    """Step: POSTS, CROPS and THUMBNAILS shards → CANDIDATES shard.

    Args:
        clusters: folder of the CLUSTERS table.
        clusters_fingerprint: its fingerprint, so that new clusters are noticed.
        dominance: see `PairingRules`.
        least_agreement: see `PairingRules`.
        least_verification: see `PairingRules`.
    """

    version: ClassVar[str] = "6"
    schema: ClassVar[pa.Schema] = CANDIDATES

    def __init__(
        self,
        clusters: str,
        clusters_fingerprint: str,
        dominance: float = PairingRules.dominance,
        least_agreement: float = PairingRules.least_agreement,
        least_verification: float = PairingRules.least_verification,
    ) -> None:
        del clusters_fingerprint  # part of the shard's key, not of the work
        self._rules = PairingRules(
            dominance=dominance, least_agreement=least_agreement, least_verification=least_verification
        )
        verdicts = ShardedTable(Path(clusters)).table(_VERDICT).to_pylist()
        self._clusters = {(row["role"], row["sha256"]): row for row in verdicts}

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """Pair post after post; a crop's and a thumbnail's bytes travel only with kept rows."""
        seen: set[tuple[str, str]] = set()
        self._colours: dict[str, Colours] = {}  # of the shard's thumbnails: most are tagged again and again
        for rows, crops, thumbnails in posts_in_step(*shards):
            pairs = list(self._pair(rows, crops, thumbnails, seen))
            counts.update(pair["reason"] or "kept" for pair in pairs)
            if pairs:
                yield rows_to_batch(pairs, CANDIDATES)

    def _pair(
        self, rows: list[Row], crops: list[Row], thumbnails: list[Row], seen: set[tuple[str, str]]
    ) -> Iterator[Row]:
        pictures = {(row["role"], row["position"]): row for row in rows}
        photos: dict[int, list[Row]] = {position: [] for role, position in pictures if role == "photo"}
        for crop in crops:
            if crop["kept"]:
                photos[crop["position"]].append(crop)
        reposts = {position for position in photos if self._is_repost(pictures["photo", position])}
        for thumbnail, match, reason in pair_post(photos, thumbnails, reposts, self._rules):
            product = pictures["product", thumbnail["position"]]
            photo = pictures["photo", match["position"]] if match else None
            agreement = self._agreement(match, product) if match else None
            pair = self._row(product, photo, thumbnail, match, agreement)
            if agreement is not None:
                key = (pair["photo_cluster_id"], pair["product_cluster_id"])
                reason = PairDrop.DUPLICATE_PAIR if key in seen else None
                seen.add(key)
                if agreement < self._rules.least_agreement:
                    reason = PairDrop.COLOURS_DIFFER
                elif pair["verification_score"] < self._rules.least_verification:
                    reason = PairDrop.DOUBTFUL
            kept = reason is None
            yield {
                **pair,
                "kept": kept,
                "reason": reason,
                "anchor_bytes": match["bytes"] if match and kept else None,
                "positive_bytes": product["bytes"] if kept else None,
            }

    def _agreement(self, crop: Row, product: Row) -> float:
        if product["sha256"] not in self._colours:
            self._colours[product["sha256"]] = thumbnail_colours(decode(product["bytes"]))
        return colour_agreement(crop_colours(decode(crop["bytes"])), self._colours[product["sha256"]])

    def _is_repost(self, photo: Row) -> bool:
        cluster = self._clusters.get(("photo", photo["sha256"]))
        return cluster is not None and not cluster["is_representative"]

    def _row(self, product: Row, photo: Row | None, thumbnail: Row, crop: Row | None, agreement: float | None) -> Row:
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
            "verification_score": crop["score"] * thumbnail["probability"] * agreement if crop else None,
            "anchor_sha256": photo and photo["sha256"],
            "crop_sha256": sha256(crop["bytes"]).hexdigest() if crop else None,
            "positive_sha256": product["sha256"],
            "anchor_phash": anchor and anchor["phash"],
            "positive_phash": positive and positive["phash"],
            "detector_version": crop["detector_version"] if crop else "",
            "classifier_version": thumbnail["classifier_version"],
        }


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def posts_in_step(posts: Shard, *derived: Shard) -> Iterator[list[list[Row]]]:
    """Walk shards that hold the same posts in the same order, one post in memory at a time.

    Yields:
        For each post of `posts` its rows, then its rows in each of `derived` (none if it has none there).
    """
    streams = [_Posts(shard) for shard in derived]
    for post_id, rows in groupby(_rows(posts), key=itemgetter("post_id")):
        yield [list(rows), *(stream.take(post_id) for stream in streams)]


class _Posts:
    """The rows of a shard, post by post, taken in the order of another shard."""

    def __init__(self, shard: Shard) -> None:
        self._groups = groupby(_rows(shard), key=itemgetter("post_id"))
        self._next = next(self._groups, None)

    def take(self, post_id: int) -> list[Row]:
        if self._next is None or self._next[0] != post_id:
            return []
        rows = list(self._next[1])
        self._next = next(self._groups, None)
        return rows


def _rows(shard: Shard) -> Iterator[Row]:
    for batch in shard.batches():
        yield from batch.to_pylist()
