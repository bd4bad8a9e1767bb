"""From photos to the garments on them and the products most like each: the service as a library."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal, Self

from PIL import Image

from models.boxes import Box, Detection, suppress
from models.promotion import ModelVersions
from search.alike import SPARE, Copies, CopyFolder
from search.errors import BadRequestError, SearchError, VersionMismatchError
from search.index import EVERYTHING, Filters, Hit, Product
from search.index.live import LiveIndex
from search.index.stores import open_store
from search.photo import LONGEST, MIN_SIDE, Photo, open_photo, shorter_side
from search.protocols import Detector, Encoder, IndexStore, ProductIndex

DETECT_THRESHOLD: Final = 0.4
"""Lower than pairing's 0.5: a wrong box costs a person one glance, a missing one costs the answer."""
SUPPRESS_IOU: Final = 0.75
"""As in pairing: one garment, one box."""
MAX_GARMENTS: Final = 12  # boxes that are answered; a crowd has more

Source = Literal["detected", "box", "whole"]
"""Where a garment's box comes from: the detector, the query, or nowhere, so that it is the whole photo."""


@dataclass(frozen=True, slots=True)
class Garment:
    """A box on the photo and the products most like what it shows, best first."""

    box: Box
    category: str | None  # in which `hits` were searched; None is all
    score: float | None  # of the detector; None unless the box was detected
    source: Source = "detected"
    hits: tuple[Hit, ...] = ()
    copies: Copies = field(default_factory=dict)  # hits that show the picture of a better one, by that one's id


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of one photo."""

    photo: Photo
    box: Box | None = None  # xyxy, px of the photo; None takes every garment of `category` that is detected
    category: str | None = None  # searched in; None is each garment's own, and all for a box given by hand
    top: int = 10  # hits per garment; 0 only detects
    filters: Filters = EVERYTHING  # that every hit must keep to


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query found."""

    width: int  # px, of the upright photo
    height: int  # px
    index_version: str
    garments: tuple[Garment, ...]
    seconds: dict[str, float] = field(default_factory=dict)  # by step: decode, detect, embed, search


@dataclass(frozen=True, slots=True)
class Similar:
    """A product and what is like it."""

    product: Product
    index_version: str
    hits: tuple[Hit, ...]  # of the same category, best first
    copies: Copies


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
        self._folder = CopyFolder()
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

    def warm_up(self) -> None:
        """Answer a query for nobody: whatever is compiled and allocated on first use takes ten seconds and more."""
        self.answer_many([Query(Photo(Image.new("RGB", (LONGEST, LONGEST)), LONGEST, LONGEST))])

    def detect(self, photo: bytes) -> Answer:
        """Find the garments of a photo, without hits. Raises `BadPhotoError`."""
        return self._answer(Query(open_photo(photo), top=0))

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
            box: xyxy, px of the upright photo. None takes every garment that is detected, of `category` where it is
                given, or the whole photo where there is none: picking one garment for the user finds half as much as
                letting them choose.
            category: searches only there. None takes each garment's own category, and all for a box given by hand.
            top: hits per garment.
            filters: brands, sites and prices that every hit must keep to.

        Raises:
            BadPhotoError: the bytes are no usable picture.
            BadRequestError: the box is outside the photo or too small, the category is unknown, or `top` is below 1.
        """
        if top < 1:
            raise BadRequestError(f"top: must be at least 1, got {top}")
        return self._answer(Query(open_photo(photo), box, category, top, filters))

    def similar(
        self,
        id: str,  # noqa: A002 - as in the URL
        top: int = 10,
        filters: Filters = EVERYTHING,
    ) -> Similar:
        """A product and its neighbours in the catalog, all from one version. Raises `NotFoundError`."""
        index = self.index
        hits, copies = self._folder.fold(index, index.neighbours(id, top + SPARE, filters), top)
        return Similar(index.product(id), index.version, hits, copies)

    def answer_many(self, queries: Sequence[Query]) -> list[Answer | SearchError]:
        """Answer several queries with one pass of each model, all from one version of the index.

        A query that breaks a rule gets its error in place of an answer; the others get theirs. The seconds of a pass
        are shared out among the queries that it served.
        """
        index = self.index
        works = [_Work(query, {"decode": query.photo.seconds}) for query in queries]
        self._find(works)
        self._search([work for work in works if work.query.top and not work.error], index)
        return [work.error or work.answer(index.version) for work in works]

    def _find(self, works: "Sequence[_Work]") -> None:
        """Garments of every photo, but where a box is given."""
        for work in works:
            if work.query.box:
                with work.guarded():
                    work.garments = (Garment(work.query.photo.check(work.query.box), None, None, "box"),)
        seen = [work for work in works if not work.query.box]
        if seen:
            with _timed([work.seconds for work in seen], "detect"):
                found = self._detector.detect([work.query.photo.image for work in seen], DETECT_THRESHOLD)
            for work, detections in zip(seen, found, strict=True):
                shown = answered(work.query.photo, detections, work.query.category)
                work.garments = tuple(Garment(item.box, item.category, item.score) for item in shown)

    def _search(self, works: "Sequence[_Work]", index: ProductIndex) -> None:
        """Hits of every garment, or of the whole photo where nothing was found."""
        for work in works:
            work.garments = work.garments or (Garment(work.query.photo.whole, None, None, "whole"),)
        crops = [work.query.photo.cut(garment.box) for work in works for garment in work.garments]
        if not crops:
            return
        with _timed([work.seconds for work in works], "embed"):
            vectors = self._encoder.embed(crops)
        start = 0
        for work in works:
            own = vectors[start : start + len(work.garments)]
            start += len(own)
            with work.guarded(), _timed([work.seconds], "search"):
                work.garments = self._with_hits(work.query, work.garments, own, index)

    def _with_hits(
        self, query: Query, garments: Sequence[Garment], vectors: Any, index: ProductIndex
    ) -> tuple[Garment, ...]:
        wanted = [query.category or _searchable(garment.category, index) for garment in garments]
        near = index.search_many(vectors, wanted, query.top + SPARE, query.filters)
        folded = [self._folder.fold(index, hits, query.top) for hits in near]
        return tuple(
            replace(garment, category=category, hits=hits, copies=copies)
            for garment, category, (hits, copies) in zip(garments, wanted, folded, strict=True)
        )

    def _answer(self, query: Query) -> Answer:
        (answer,) = self.answer_many([query])
        if isinstance(answer, SearchError):
            raise answer
        return answer


@dataclass(slots=True)
class _Work:
    """A query on its way through the models."""

    query: Query
    seconds: dict[str, float]
    garments: tuple[Garment, ...] = ()
    error: SearchError | None = None

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """A rule that this query breaks is its own error, not that of the queries beside it."""
        try:
            yield
        except SearchError as error:
            self.error = error

    def answer(self, version: str) -> Answer:
        photo = self.query.photo
        return Answer(photo.width, photo.height, version, self.garments, self.seconds)


def check_versions(encoder: Encoder, index: ProductIndex) -> None:
    """Raise `VersionMismatchError` unless the index was made by this encoder."""
    made_by = index.manifest.encoder_version
    if made_by != encoder.version:
        raise VersionMismatchError(f"index {index.version} was made by encoder {made_by}, loaded is {encoder.version}")


def answered(photo: Photo, found: Sequence[Detection], category: str | None = None) -> list[Detection]:
    """Detections on a photo's `image` that get an answer, in px of the photo: the surest first, one per garment.

    With a category, only what was detected as that.
    """
    alive = [item for item in compress(found, suppress(found, SUPPRESS_IOU)) if category in (None, item.category)]
    boxes = [replace(item, box=photo.from_image(item.box)) for item in alive]
    large = [item for item in boxes if shorter_side(item.box) >= MIN_SIDE]
    return sorted(large, key=lambda item: -item.score)[:MAX_GARMENTS]


def _searchable(category: str | None, index: ProductIndex) -> str | None:
    """A class of which the catalog holds nothing is searched everywhere."""
    return category if category in index.categories else None


@contextmanager
def _timed(several: Sequence[dict[str, float]], step: str) -> Iterator[None]:
    """Share the time of a step out among those it served."""
    start = perf_counter()
    yield
    for seconds in several:
        seconds[step] = (perf_counter() - start) / len(several)
