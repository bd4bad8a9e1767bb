"""The service as a library: photo bytes to garments and products."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from curation.images import encode_jpeg
from models.boxes import Detection
from search.errors import BadPhotoError, BadRequestError, VersionMismatchError
from search.index import Index, build_index, rollback
from search.index.stores import FolderStore
from search.photo import open_photo
from search.query import MAX_GARMENTS, Answer, Query, SearchService
from tests.search.builders import (
    BOXES,
    BlockEncoder,
    FixedDetector,
    number_of,
    photo_of,
    plain_photo,
    product_rows,
    write_embeddings,
)


class OtherEncoder(BlockEncoder):
    version = "blocks-2"


def test_search__every_garment_finds_its_product(service: SearchService) -> None:
    answer = service.search(photo_of(3, 7, 11), top=4)
    assert [garment.category for garment in answer.garments] == ["top", "bottom", "shoes"]  # best score first
    assert [garment.hits[0].product.id for garment in answer.garments] == [
        f"kream-{number_of(*which)}" for which in (("top", 3), ("bottom", 7), ("shoes", 11))
    ]
    assert {len(garment.hits) for garment in answer.garments} == {4}
    assert set(answer.seconds) == {"decode", "detect", "embed", "search"}


def test_search__overlapping_copy_is_suppressed(service: SearchService) -> None:
    assert "outer" not in {garment.category for garment in service.detect(photo_of(0, 0, 0)).garments}


def test_detect__no_slivers_and_of_a_crowd_the_surest(index: Index) -> None:
    class Crowd(FixedDetector):
        def detect(self, images: Sequence[Image.Image], threshold: float) -> list[list[Detection]]:
            sliver = Detection("outer", 0.99, (0.0, 100.0, 7.0, 300.0))
            people = [Detection("hat", 0.5 + at / 100, (20.0 * at, 0.0, 20.0 * at + 10, 10.0)) for at in range(15)]
            return [[sliver, *people]] * len(images)

    garments = SearchService(Crowd(), BlockEncoder(), index).detect(photo_of(0, 0, 0)).garments
    assert [garment.box[0] for garment in garments] == [20.0 * at for at in reversed(range(15 - MAX_GARMENTS, 15))]


def test_detect__boxes_end_at_the_photo(index: Index) -> None:
    class Beyond(FixedDetector):
        def detect(self, images: Sequence[Image.Image], threshold: float) -> list[list[Detection]]:
            return [[Detection("hat", 0.9, (-5.0, -5.0, 305.0, 405.0))]] * len(images)

    (garment,) = SearchService(Beyond(), BlockEncoder(), index).detect(photo_of(0, 0, 0)).garments
    assert garment.box == (0.0, 0.0, 300.0, 400.0)


def test_search__given_box_searches_everything(service: SearchService) -> None:
    answer = service.search(photo_of(3, 7, 11), box=BOXES["shoes"], top=1)
    (garment,) = answer.garments
    assert (garment.category, garment.score, garment.source) == (None, None, "box")
    assert garment.hits[0].product.id == f"kream-{number_of('shoes', 11)}"


def test_search__category_overrules(service: SearchService) -> None:
    answer = service.search(photo_of(3, 7, 11), box=BOXES["shoes"], category="top")
    assert {hit.product.category for hit in answer.garments[0].hits} == {"top"}


def test_search__category_without_box_takes_what_was_detected_as_that(service: SearchService) -> None:
    (garment,) = service.search(photo_of(3, 7, 11), category="shoes").garments
    assert (garment.box, garment.score, garment.source) == (BOXES["shoes"], pytest.approx(0.7), "detected")
    assert garment.hits[0].product.id == f"kream-{number_of('shoes', 11)}"


def test_search__category_that_is_not_on_the_photo_takes_the_whole(index: Index) -> None:
    class Shoeless(FixedDetector):
        def detect(self, images: Sequence[Image.Image], threshold: float) -> list[list[Detection]]:
            return [[item for item in found if item.category != "shoes"] for found in super().detect(images, threshold)]

    service = SearchService(Shoeless(), BlockEncoder(), index)
    (garment,) = service.search(photo_of(3, 7, 11), category="shoes").garments
    assert (garment.box, garment.category, garment.score, garment.source) == ((0, 0, 300, 400), "shoes", None, "whole")
    assert {hit.product.category for hit in garment.hits} == {"shoes"}


def test_search__nothing_detected_takes_the_whole_photo(service: SearchService) -> None:
    (garment,) = service.search(plain_photo()).garments
    assert (garment.box, garment.source) == ((0, 0, 300, 400), "whole")
    assert len(garment.hits) == 10
    assert service.detect(plain_photo()).garments == ()


def test_search__detected_class_that_the_shop_does_not_sell(tmp_path: Path) -> None:
    rows = [row for row in product_rows(3) if row["category"] != "top"]
    build_index(write_embeddings(tmp_path / "rows", rows), tmp_path / "index", BlockEncoder.version)
    service = SearchService(FixedDetector(), BlockEncoder(), Index.open(tmp_path / "index"))
    first = service.search(photo_of(0, 0, 0), top=6).garments[0]
    assert first.category is None
    assert {hit.product.category for hit in first.hits} == {"bottom", "shoes"}


@pytest.mark.parametrize("box", [(300.0, 0.0, 310.0, 90.0), (10.0, 10.0, 12.0, 90.0), (0.0, 0.0, float("nan"), 9.0)])
def test_search__box_outside_or_too_small(service: SearchService, box: tuple[float, float, float, float]) -> None:
    with pytest.raises(BadRequestError, match="box: "):
        service.search(photo_of(0, 0, 0), box=box)


def test_search__box_is_clipped(service: SearchService) -> None:
    (garment,) = service.search(photo_of(0, 0, 0), box=(-50.0, 200.0, 5000.0, 5000.0)).garments
    assert garment.box == (0, 200, 300, 400)


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        (b"", "empty"),
        (b"<!doctype html><p>not found", "not_an_image"),
        (photo_of(0, 0, 0)[:-3000], "truncated"),
    ],
)
def test_detect__bad_photo(service: SearchService, photo: bytes, reason: str) -> None:
    with pytest.raises(BadPhotoError, match=f"photo: {reason}"):
        service.detect(photo)


def test_service__refuses_an_index_of_another_encoder(index: Index) -> None:
    with pytest.raises(VersionMismatchError, match="made by encoder blocks-1, loaded is blocks-2"):
        SearchService(FixedDetector(), OtherEncoder(), index)


def test_service__takes_up_a_new_version_and_refuses_a_foreign_one(tmp_path: Path) -> None:
    root = tmp_path / "index"
    build_index(write_embeddings(tmp_path / "1", product_rows(3), "1"), root, BlockEncoder.version)
    service = SearchService(FixedDetector(), BlockEncoder(), Index.open(root), FolderStore(root))
    grown = build_index(write_embeddings(tmp_path / "2", product_rows(5), "2"), root, BlockEncoder.version)
    assert service.search(photo_of(4, 0, 0)).index_version == grown.version
    foreign = product_rows(5, OtherEncoder.version)
    build_index(write_embeddings(tmp_path / "3", foreign, "3"), root, OtherEncoder.version)
    assert service.search(photo_of(4, 0, 0)).index_version == grown.version
    rollback(root)
    assert service.search(photo_of(4, 0, 0)).index_version == grown.version


def test_answer_many__as_one_by_one_and_each_its_own_error(service: SearchService) -> None:
    first, plain = open_photo(photo_of(3, 7, 11)), open_photo(plain_photo())
    queries = [
        Query(first, top=4),
        Query(plain),
        Query(first, box=(900, 900, 950, 950)),
        Query(first, category="sock"),
        Query(first, box=BOXES["shoes"], category="shoes", top=2),
        Query(first, top=0),
    ]
    answers = service.answer_many(queries)
    assert [isinstance(answer, BadRequestError) for answer in answers] == [False, False, True, True, False, False]
    for query, answer in zip(queries, answers, strict=True):
        (alone,) = service.answer_many([query])
        if isinstance(answer, Answer):
            assert isinstance(alone, Answer)
            assert [garment.hits for garment in answer.garments] == [garment.hits for garment in alone.garments]
    assert service.answer_many([]) == []


def test_answer_many__seconds_of_a_pass_are_shared_out(service: SearchService, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr("search.query.perf_counter", lambda: next(ticks))
    answers = service.answer_many([Query(open_photo(photo_of(3, 7, 11))) for _ in range(4)])
    seconds = [answer.seconds["embed"] for answer in answers if isinstance(answer, Answer)]
    assert len(seconds) == 4
    assert sum(seconds) < 5  # the pass took one to four ticks, not one for each


def test_search__large_photo_is_scaled_and_boxes_are_not(service: SearchService) -> None:
    with Image.open(BytesIO(photo_of(3, 7, 11))) as photo:
        large = encode_jpeg(photo.resize((2100, 2800)))
    answer = service.search(large, box=tuple(7 * side for side in BOXES["shoes"]), top=1)
    assert (answer.width, answer.height) == (2100, 2800)
    assert answer.garments[0].box == pytest.approx([7 * side for side in BOXES["shoes"]])
    assert answer.garments[0].hits[0].product.id == "kream-51"


def test_search__long_narrow_photo_is_scaled_by_each_side(service: SearchService) -> None:
    narrow = encode_jpeg(Image.new("RGB", (20, 39_000)))  # a 24th as high, but no less than 1 px wide
    (garment,) = service.search(narrow, box=(0, 38_000, 20, 39_000), top=1).garments
    assert garment.box == (0, 38_000, 20, 39_000)
    photo = open_photo(narrow)
    assert photo.image.size == (1, 1600)
    assert photo.cut((0, 19_500, 20, 39_000)).size == (1, 800)
    assert photo.from_image((0, 800, 1, 1600)) == pytest.approx((0, 19_500, 20, 39_000))
