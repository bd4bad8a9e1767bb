"""Every table of the project: its columns, their units and ranges (in each field's `comment`).

Boxes are xyxy in pixels of the upright picture. Times are UTC. `sha256` is the hex digest of the original bytes.
"""

from typing import Final

import pyarrow as pa

BOX: Final = pa.list_(pa.float32(), 4)
UTC: Final = pa.timestamp("ms", tz="UTC")
COLOUR_GRID: Final = 16
"""Cells on a side of the colour layout: fine enough for the coloured trim that tells two colourways apart."""
LAYOUT_BYTES: Final = 3 * COLOUR_GRID**2
"""Of a colour layout. As one value of fixed size a layout is read in a tenth of the time of a list of numbers."""


def _field(name: str, kind: pa.DataType, comment: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"comment": comment})


def _optional(name: str, kind: pa.DataType, comment: str) -> pa.Field:
    return _field(name, kind, comment, nullable=True)


_IMAGE = [
    _field("image_url", pa.string(), "address of the original picture, query removed"),
    _optional("bytes", pa.large_binary(), "original bytes as served; null when `error` is set"),
    _optional("format", pa.string(), "JPEG, PNG, WEBP or GIF, sniffed from the bytes"),
    _optional("width", pa.int32(), "px, upright"),
    _optional("height", pa.int32(), "px, upright"),
    _optional("has_alpha", pa.bool_(), "transparent picture (shown on the shop's tile colour)"),
    _optional("sha256", pa.string(), "hex digest of `bytes`"),
    _optional("error", pa.string(), "curation.reasons.ImageFault when there are no usable bytes"),
    _field("crawled_at", UTC, "time of the fetch"),
]
_PRODUCT = [
    _optional("product_id", pa.string(), "the site's own id; null for photos"),
    _optional("product_name", pa.string(), "as shown, escaped nowhere"),
    _optional("brand", pa.string(), "as shown"),
    _optional("price", pa.int64(), "KRW"),
    _optional("product_url", pa.string(), "page of the product"),
]
_POST_KEY = [
    _field("site", pa.string(), "the site's name, such as kream; anchor-cloth for pairs imported from there"),
    _field("post_id", pa.int64(), "the site's integer id; of imported pairs 63 bits of a digest"),
]

POSTS: Final = pa.schema(
    [
        *_POST_KEY,
        _field("post_url", pa.string(), "page of the post"),
        _field("role", pa.string(), "photo (of the post) or product (a tagged thumbnail)"),
        _field("position", pa.int16(), "0, 1, … in page order, counted per role"),
        *_PRODUCT,
        _optional("posted_at", UTC, "time of the post, if the page tells"),
        *_IMAGE,
    ]
)
"""One row per picture of a post, in order of post id. Shards: `<site>/<block>`."""

LEDGER: Final = pa.schema(
    [
        *_POST_KEY,
        _field("state", pa.string(), "curation.reasons.PostState"),
        _optional("reason", pa.string(), "error class, HTTP status or rule"),
        _optional("message", pa.string(), "for people"),
        _field("attempts", pa.int32(), "≥ 1"),
        _field("photos", pa.int16(), "usable photos"),
        _field("products", pa.int16(), "usable thumbnails"),
        _field("first_tried_at", UTC, "first attempt"),
        _field("last_tried_at", UTC, "latest attempt"),
    ]
)
"""One row per post id that was ever tried. Shards: `<site>/<block>`."""

CATALOG: Final = pa.schema(
    [
        _field("site", pa.string(), "the shop's name, such as kream"),
        *_PRODUCT,
        _field("shop_category_id", pa.int32(), "the shop's own category"),
        _field("category", pa.string(), "that category as one of the seven classes or etc"),
        *_IMAGE,
    ]
)
"""One row per listed product. Shards: `<site>/<category>`."""

_SEEN: Final = [
    _optional("site", pa.string(), "where it was seen"),
    _optional("post_id", pa.int64(), "post in which it was seen; null in a catalog"),
    _optional("position", pa.int16(), "place in that post"),
    _optional("product_id", pa.string(), "product that it shows; null for photos"),
    _optional("posted_at", UTC, "time of that post, if the page tells"),
]

HASHES: Final = pa.schema(
    [
        _field("sha256", pa.string(), "content key"),
        _field("role", pa.string(), "photo, product or catalog; anchor in an audit"),
        _field("mode", pa.string(), "curation.hashing.Mode: exact, or fast (JPEG decoded at reduced scale)"),
        _field("phash", pa.uint64(), "imagehash.phash, 8×8, most significant bit first"),
        _field("dhash", pa.uint64(), "difference hash of the same picture: second opinion on gradients"),
        _field("colour", pa.binary(LAYOUT_BYTES), "Y, Cb, Cr (as in JPEG) of each grid cell, a byte each"),
        _field("contrast", pa.float32(), "standard deviation of the luma that phash sees (32×32), 0-128"),
        _field("sharpness", pa.float32(), "variance of the Laplacian of luma at 128 px"),
        _field("blank", pa.bool_(), "too plain for its hash to mean anything"),
        _field("width", pa.int32(), "px"),
        _field("height", pa.int32(), "px"),
        *_SEEN,
    ]
)
"""One row per picture with usable bytes. Shards as the source table."""

PICTURES: Final = pa.schema(
    [
        _field("sha256", pa.string(), "content key"),
        _field("role", pa.string(), "photo or product (catalog thumbnails count as product)"),
        _field("mode", pa.string(), "as in HASHES"),
        _field("phash", pa.uint64(), "as in HASHES"),
        _field("dhash", pa.uint64(), "as in HASHES"),
        _field("blank", pa.bool_(), "as in HASHES"),
        _field("catalog", pa.bool_(), "seen in a shop's catalog"),
        _field("pixels", pa.int64(), "width × height"),
        *_SEEN,
    ]
)
"""One row per distinct picture of a HASHES shard; where it was seen first, if more than once."""

CLUSTERS: Final = pa.schema(
    [
        *PICTURES,
        _field("cluster_id", pa.string(), "sha256 of the representative"),
        _field("is_representative", pa.bool_(), "the picture that is kept"),
        _optional("kept_because", pa.string(), "curation.leaders.Precedence by which the representative was kept"),
        _field("phash_distance", pa.int16(), "bits to the representative, 0-64"),
        _field("dhash_distance", pa.int16(), "bits to the representative, 0-64"),
        _field("colour_distance", pa.float32(), "chroma levels to the representative, as DuplicateRule.levels"),
        _field("luma_distance", pa.float32(), "luma levels to the representative, as DuplicateRule.levels"),
        _field("evidence", pa.string(), "curation.leaders.Evidence"),
    ]
)
"""One row per distinct picture of a HASHES shard, the same verdict wherever it is seen. Shards as HASHES."""

MATCHES: Final = pa.schema(
    [
        _field("role", pa.string(), "photo or product"),
        _field("a_sha256", pa.string(), "the lesser one"),
        _field("b_sha256", pa.string(), "the greater one"),
        *[CLUSTERS.field(f"{name}_distance") for name in ("phash", "dhash", "colour", "luma")],
    ]
)
"""One row per two pictures that every opinion calls the same: what clusters are made of. One shard."""

CROPS: Final = pa.schema(
    [
        *_POST_KEY,
        _field("position", pa.int16(), "photo of the post"),
        _field("image_sha256", pa.string(), "photo"),
        _field("category", pa.string(), "one of the seven; empty when nothing was detected"),
        _field("score", pa.float32(), "detector score, 0-1"),
        _field("box", BOX, "xyxy, px"),
        _field("kept", pa.bool_(), "usable for pairing"),
        _optional("reason", pa.string(), "curation.reasons.CropDrop when not kept"),
        _optional("bytes", pa.large_binary(), "JPEG of the crop; null when not kept"),
        _field("detector_version", pa.string(), "version in the checkpoint's manifest"),
    ]
)
"""One row per detection, kept or not. Shards as the posts."""

THUMBNAILS: Final = pa.schema(
    [
        *_POST_KEY,
        _field("position", pa.int16(), "place among the tagged products"),
        _optional("product_id", pa.string(), "the site's own id"),
        _optional("image_sha256", pa.string(), "thumbnail; null when it has no usable bytes"),
        _optional("category", pa.string(), "most probable label, etc included"),
        _optional("probability", pa.float32(), "of that label, 0-1"),
        _field("kept", pa.bool_(), "usable for pairing"),
        _optional("reason", pa.string(), "curation.reasons.ThumbnailDrop when not kept"),
        _field("classifier_version", pa.string(), "version in the checkpoint's manifest"),
    ]
)
"""One row per tagged product. Shards as the posts."""

_PROVENANCE = [
    *_POST_KEY,
    _field("post_url", pa.string(), "page of the post"),
    _optional("product_id", pa.string(), "the site's own id"),
    _optional("product_url", pa.string(), "page of the product"),
    _optional(
        "product_cluster_id",
        pa.string(),
        "near-duplicate cluster of the thumbnail: the same product on another site",
    ),
    _optional("photo_cluster_id", pa.string(), "near-duplicate cluster of the photo"),
    _optional("category", pa.string(), "one of the seven"),
    _field("photo_position", pa.int16(), "photo of the post; -1 when none was matched"),
    _field("product_position", pa.int16(), "place among the tagged products"),
    _optional("box", BOX, "xyxy, px of the photo"),
    _optional("detector_score", pa.float32(), "0-1"),
    _optional("classifier_probability", pa.float32(), "0-1"),
    _optional("colour_agreement", pa.float32(), "curation.colours: of crop and thumbnail, 0-1"),
    _optional("encoder_similarity", pa.float32(), "cosine by an encoder that never saw the post; null without one"),
    _optional("verification_score", pa.float32(), "curation.verification: probability that the pair is right"),
    _optional("anchor_sha256", pa.string(), "photo from which the anchor was cut"),
    _optional("crop_sha256", pa.string(), "JPEG of the anchor itself"),
    _optional("positive_sha256", pa.string(), "thumbnail"),
    _optional("anchor_phash", pa.uint64(), "of the photo"),
    _optional("positive_phash", pa.uint64(), "of the thumbnail"),
    _field("detector_version", pa.string(), "that cut the anchor"),
    _field("classifier_version", pa.string(), "that named the thumbnail"),
    _field("crawled_at", UTC, "time of the thumbnail's fetch"),
]

TAG_MATCHES: Final = pa.schema(
    [
        *_PROVENANCE,
        _field("kept", pa.bool_(), "may become a pair"),
        _optional("reason", pa.string(), "curation.reasons.PairDrop when not kept"),
    ]
)
"""One row per tagged product of a post and photo that may show it; one alone with a reason where none does. Shards as
the posts."""

CANDIDATES: Final = pa.schema(
    [
        *TAG_MATCHES,
        _optional(
            "proportion_difference", pa.float32(), "log of the box's height by width over the thumbnail garment's"
        ),
        _optional(
            "encoder_preference", pa.float32(), "0-1, by that encoder: this product rather than others of its class"
        ),
        _optional("anchor_bytes", pa.large_binary(), "JPEG of the crop; null when not kept"),
        _optional("positive_bytes", pa.large_binary(), "original thumbnail; null when not kept"),
    ]
)
"""The same rows, verified. Shards as the posts."""

RIVALS: Final = pa.schema(
    [
        _field("site", pa.string(), "of the pair that showed it first"),
        *(CANDIDATES.field(name) for name in ("product_id", "product_cluster_id", "category", "positive_sha256")),
        _field("vector", pa.list_(pa.float32()), "unit length, d of the encoder"),
    ]
)
"""One row per product that a verifying encoder knows. A shard for each of the two encoders."""

_IMAGE_FEATURE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])

PAIRS: Final = pa.schema(
    [
        # Nullable, since the datasets library knows its Image feature by that type only.
        _optional("anchor", _IMAGE_FEATURE, "crop of the garment as worn (datasets.Image); never null"),
        _optional("positive", _IMAGE_FEATURE, "the shop's thumbnail (datasets.Image); never null"),
        _field("split", pa.string(), "train, validation or test"),
        *_PROVENANCE,
    ]
)
"""The published dataset. Shards: `<split>-00000-<digest of its rows>`, …"""

COLOURS: Final = ("crop_colours", "thumbnail_colours")
DOUBTS: Final = pa.schema(
    [
        *(PAIRS.field(name) for name in ("site", "post_id", "post_url", "product_id", "product_url")),
        *(PAIRS.field(name) for name in ("product_cluster_id", "category", "box", "detector_score")),
        *(PAIRS.field(name) for name in ("anchor_sha256", "positive_sha256")),
        _field("noise", pa.float32(), "curation.noise: how doubtful, 0-1"),
        *(_field(name, pa.binary(640), "curation.colours, 320 half-precision numbers") for name in COLOURS),
    ]
)
"""The pairs of one dataset version, most doubtful first. One shard, made from the version's fingerprint."""

EMBEDDINGS: Final = pa.schema(
    [
        _field("site", pa.string(), "the shop's name, such as kream"),
        *_PRODUCT,
        _field("category", pa.string(), "one of the seven: the index partition"),
        _field("sha256", pa.string(), "thumbnail"),
        _field("image_url", pa.string(), "thumbnail"),
        _field("thumbnail", pa.large_binary(), "JPEG preview, longest side 256 px"),
        _field("vector", pa.list_(pa.float32()), "unit length, d of the encoder"),
        _field("encoder_version", pa.string(), "version in the checkpoint's manifest"),
    ]
)
"""One row per indexed product. Shards as the catalog."""
