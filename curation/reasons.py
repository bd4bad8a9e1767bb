"""Why a row was dropped or failed. Enumerations, so that counts per reason mean the same in every run."""

from enum import StrEnum


class ImageFault(StrEnum):
    """Why bytes that were promised to be a picture are not used."""

    MISSING = "missing"  # the server answered 404 or 410
    HTTP_ERROR = "http_error"  # any other status that is not 200
    TRANSFER = "transfer"  # connection lost, body shorter than promised, time out
    EMPTY = "empty"  # zero bytes
    NOT_AN_IMAGE = "not_an_image"  # an HTML page, JSON, a video
    TRUNCATED = "truncated"  # the decoder ran out of bytes
    TOO_MANY_PIXELS = "too_many_pixels"  # a decompression bomb, refused before decoding
    TOO_MANY_BYTES = "too_many_bytes"
    NOT_CAPTURED = "not_captured"  # named in the page, but the browser never received it, or it may not be asked for


class PostState(StrEnum):
    """The one state in which every crawled post id ends (the ledger)."""

    DONE = "done"  # at least one photo and one tagged product with usable bytes
    EMPTY = "empty"  # the page is there, but has no photo or no tagged product
    GONE = "gone"  # 404 or 410
    EXCLUDED = "excluded"  # robots.txt, a take-down, or an AI-made picture
    FAILED = "failed"  # an error; the only state that is retried


class CropDrop(StrEnum):
    """Why a detection is not a crop that pairing may use."""

    LOW_SCORE = "low_score"
    TOO_SMALL = "too_small"
    SUPPRESSED = "suppressed"  # class-agnostic non-maximum suppression
    BAD_IMAGE = "bad_image"
    NO_DETECTION = "no_detection"


class ThumbnailDrop(StrEnum):
    """Why a tagged thumbnail has no category that pairing may use."""

    BAD_IMAGE = "bad_image"
    TOO_SMALL = "too_small"  # under 200 px on a side
    LOW_PROBABILITY = "low_probability"
    REJECTED = "etc"  # the classifier's reject class


class PairDrop(StrEnum):
    """Why a tagged product of a post did not become a pair."""

    THUMBNAIL = "thumbnail_dropped"  # its thumbnail has no category; see thumbnail_categories
    NO_BOX = "no_box_of_category"  # the detector found nothing of the thumbnail's class
    AMBIGUOUS_BOXES = "ambiguous_boxes"  # the class is there more than once, and colours do not tell which it is
    AMBIGUOUS_TAGS = "ambiguous_tags"  # tagged thumbnails share the class, and colours do not tell which it is
    REPOST = "repost"  # the photo is a near-duplicate of one in an earlier post
    COLOURS_DIFFER = "colours_differ"  # crop and thumbnail share too few colours: a wrong tag, or a wrong crop
    DOUBTFUL = "doubtful"  # detector, classifier, colours and encoder together are not sure enough
    DUPLICATE_PAIR = "duplicate_pair"  # the same photo cluster and product cluster are already paired
    REJECTED = "rejected_by_review"
    BENCHMARK = "in_benchmark"  # its photo or thumbnail is one of a benchmark's: see curation.audit
    TAKEN_DOWN = "taken_down"  # somebody asked for its photo or thumbnail to be removed
    SOURCE = "source_excluded"  # its site is left out by a setting
