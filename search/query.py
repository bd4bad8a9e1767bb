"""From the bytes of a photo to the garments on it and the products most like each: the service as a library."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final, Self

from PIL import Image

from curation.errors import ImageError
from curation.images import decode
from models.boxes import Box, cut, suppress
from models.promotion import ModelVersions
from search.errors import BadPhotoError, BadRequestError, VersionMismatchError
from search.index import EVERYTHING, Filters, Hit, Product
from search.index.live import LiveIndex
from search.index.stores import open_store
from search.protocols import Detector, Encoder, IndexStore, ProductIndex

DETECT_THRESHOLD: Final = 0.4
"""Lower than pairing's 0.5: a wrong box costs a person one glance, a missing one costs the answer."""
SUPPRESS_IOU: Final = 0.75
"""As in pairing: one garment, one box."""
MIN_SIDE: Final = 8  # px; a smaller box holds nothing to recognise
MAX_GARMENTS: Final = 12  # boxes that are answered; a crowd has more


@dataclass(frozen=True, slots=True)
class Garment:
    """A box on the photo and the products most like what it shows, best first."""

    box: Box
    category: str | None  # in which `hits` were searched; None is all
    score: float | None  # of the detector; None for a box that a person drew, and for the whole photo
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query found."""

    width: int  # px, of the upright photo
    height: int  # px
    index_version: str
    garments: tuple[Garment, ...]
    seconds: dict[str, float] = field(default_factory=dict)  # by step: decode, detect, embed, search


class SearchService:
    """Detector, encoder and index together. Not thread-safe where the models are not: call it from one thread."""

    def __init__(
        self, detector: Detector, encoder: Encoder, index: ProductIndex, store: IndexStore | None = None
    ) -> None:
        """Check that the parts fit.

        Args:
            detector: finds the boxes.
            encoder: turns boxes into vectors.
            index: made by that very encoder.
            store: of the index; when given, a newly built version is taken up between two queries.

        Raises:
            VersionMismatchError: the index was made by another encoder.
        """
        check_versions(encoder, index)
        self._detector = detector
        self._encoder = encoder
        self._index = index
        self._live = LiveIndex(store, lambda fresh: check_versions(encoder, fresh), index) if store else None

    @classmethod
    def open(cls, data: Path, milvus: str = "") -> Self:
        """Load the detector, the index (`data/index`, or what `milvus` names) and its encoder. Needs torch.

        Raises:
            IndexMissingError: there is no index.
            VersionMismatchError: the index was made by another encoder.
            models.errors.CheckpointError: a checkpoint is missing or damaged.
        """
        store = open_store(data / "index", milvus)
        index = store.open()  # first: it tells at once what is missing, torch takes seconds
        from models.detector.infer import Detector as TrainedDetector
        from models.encoder.infer import Encoder as TrainedEncoder

        link = data / "models" / "encoder"
        encoder = ModelVersions(link).find(index.manifest.encoder_version) or link
        detector = TrainedDetector.load(data / "models" / "detector")
        return cls(detector, TrainedEncoder.load(encoder), index, store)

    @property
    def index(self) -> ProductIndex:
        """The index in use; a version that was swapped in since the last query is taken up first."""
        return self._live.get() if self._live else self._index

    def detect(self, photo: bytes) -> Answer:
        """Find the garments of a photo, without hits. Raises `BadPhotoError`."""
        seconds: dict[str, float] = {}
        image = self._decode(photo, seconds)
        return Answer(image.width, image.height, self.index.version, tuple(self._garments(image, seconds)), seconds)

    def search(
        self,
        photo: bytes,
        box: Box | None = None,
        category: str | None = None,
        top: int = 10,
        filters: Filters = EVERYTHING,
    ) -> Answer:
        """Find the products most like each garment of a photo, or most like what one box shows.

        Args:
            photo: JPEG, PNG, WebP or GIF bytes.
            box: xyxy, px of the upright photo. None takes every detected garment, or the whole photo where nothing is
                detected: picking one garment for the user finds half as much as letting them choose.
            category: searches only there. None takes each garment's own category, and all for a box given by hand.
            top: hits per garment.
            filters: brands, sites and prices that every hit must keep to.

        Raises:
            BadPhotoError: the bytes are no usable picture.
            BadRequestError: the box is outside the photo or too small, the category is unknown, or `top` is below 1.
        """
        seconds: dict[str, float] = {}
        index = self.index  # one version for the whole query
        image = self._decode(photo, seconds)
        garments = [Garment(check_box(box, image), None, None)] if box else self._garments(image, seconds)
        garments = garments or [Garment((0.0, 0.0, float(image.width), float(image.height)), None, None)]
        with _timed(seconds, "embed"):
            vectors = self._encoder.embed([cut(image, garment.box) for garment in garments])
        with _timed(seconds, "search"):
            wanted = [category or _searchable(garment.category, index) for garment in garments]
            hits = index.search_many(vectors, wanted, top, filters)
        found = tuple(
            Garment(garment.box, name, garment.score, tuple(near))
            for garment, name, near in zip(garments, wanted, hits, strict=True)
        )
        return Answer(image.width, image.height, index.version, found, seconds)

    def similar(self, id: str, top: int = 10) -> tuple[Product, list[Hit]]:  # noqa: A002 - as in the URL
        """A product and its neighbours in the catalog. Raises `NotFoundError`."""
        index = self.index
        return index.product(id), index.neighbours(id, top)

    def _garments(self, image: Image.Image, seconds: dict[str, float]) -> list[Garment]:
        with _timed(seconds, "detect"):
            found = self._detector.detect([image], DETECT_THRESHOLD)[0]
        alive = [item for item, keep in zip(found, suppress(found, SUPPRESS_IOU), strict=True) if keep]
        alive.sort(key=lambda item: -item.score)
        garments = [Garment(_clip(item.box, image), item.category, item.score) for item in alive]
        return [garment for garment in garments if _sides(garment.box) >= MIN_SIDE][:MAX_GARMENTS]

    def _decode(self, photo: bytes, seconds: dict[str, float]) -> Image.Image:
        with _timed(seconds, "decode"):
            try:
                return decode(photo)
            except ImageError as error:
                raise BadPhotoError(f"photo: {error.reason}: {error}") from error


def check_versions(encoder: Encoder, index: ProductIndex) -> None:
    """Raise `VersionMismatchError` unless the index was made by this encoder."""
    made_by = index.manifest.encoder_version
    if made_by != encoder.version:
        raise VersionMismatchError(f"index {index.version} was made by encoder {made_by}, loaded is {encoder.version}")


def check_box(box: Box, image: Image.Image) -> Box:
    """Clip a box from a client to the photo. Raises `BadRequestError` when too little is left."""
    if not all(map(math.isfinite, box)):
        raise BadRequestError(f"box: four finite numbers, got {box}")
    inside = _clip(box, image)
    if _sides(inside) < MIN_SIDE:
        raise BadRequestError(
            f"box: at least {MIN_SIDE}×{MIN_SIDE} px inside the photo of {image.width}×{image.height} px, got {box}"
        )
    return inside


def _clip(box: Box, image: Image.Image) -> Box:
    x0, y0, x1, y1 = box
    return max(0.0, x0), max(0.0, y0), min(float(image.width), x1), min(float(image.height), y1)


def _sides(box: Box) -> float:
    return min(box[2] - box[0], box[3] - box[1])


def _searchable(category: str | None, index: ProductIndex) -> str | None:
    """A class of which the catalog holds nothing is searched everywhere."""
    return category if category in index.categories else None


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[step] = perf_counter() - start
