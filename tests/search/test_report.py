"""Pictures of queries, looked at by their pixels."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from curation.images import decode
from search.errors import BadPhotoError
from search.query import Answer, Garment, SearchService
from search.report import ReportQuery, draw_boxes, query_picture, report_sheet
from tests.search.builders import BOXES, draw_product, photo_of

GREEN = (22, 163, 74)


def _pixels(image: Image.Image, colour: tuple[int, int, int], tolerance: int = 0) -> int:
    return int((np.abs(np.asarray(image).astype(int) - colour).max(axis=2) <= tolerance).sum())


def test_draw_boxes__outline_where_the_box_is(service: SearchService) -> None:
    photo = decode(photo_of(3, 7, 11))
    drawn = draw_boxes(photo, service.detect(photo_of(3, 7, 11)).garments)
    changed = np.argwhere((np.asarray(drawn) != np.asarray(photo)).any(axis=2))
    _, _, x1, y1 = BOXES["shoes"]
    assert drawn.getpixel((int(x1), int(y1) - 40)) == (185, 28, 28)
    assert changed[:, 0].max() == y1
    assert drawn.getpixel((5, 5)) == photo.getpixel((5, 5))


def test_query_picture__shows_the_thumbnails_of_the_hits(service: SearchService) -> None:
    photo = photo_of(3, 7, 11)
    answer = service.search(photo, top=2)
    sheet = query_picture(service.index, decode(photo), answer.garments, top=2)
    ground = draw_product(3).getpixel((0, 0))
    without = query_picture(service.index, decode(photo), [replace(g, hits=()) for g in answer.garments], top=2)
    assert np.asarray(sheet).shape == np.asarray(without).shape
    assert _pixels(sheet, ground, 12) > 1.3 * _pixels(without, ground, 12)  # photo, crop, and now the thumbnail


def test_report_sheet__frames_what_was_expected(service: SearchService) -> None:
    found = ReportQuery(photo_of(3, 7, 11), "found", frozenset({"kream-3"}))
    missed = ReportQuery(photo_of(3, 7, 11), "missed", frozenset({"kream-999"}))
    frame = 3 * 4 * 90  # px: three wide around a tile
    assert _pixels(report_sheet(service, [found])[0], GREEN) > frame
    assert _pixels(report_sheet(service, [missed])[0], GREEN) < frame / 10


def test_report_sheet__one_cell_per_query(service: SearchService) -> None:
    one, _ = report_sheet(service, [ReportQuery(photo_of(1, 1, 1))])
    five, _ = report_sheet(service, [ReportQuery(photo_of(n, n, n)) for n in range(5)], columns=2)
    assert five.size == (2 * one.width, 3 * one.height)


def test_report_sheet__counts_the_answers_of_one_search_each(service: SearchService) -> None:
    nothing = Answer(300, 400, "v", (Garment(BOXES["top"], "top", 0.9),))
    with patch.object(service, "search", side_effect=[nothing, service.search(photo_of(1, 1, 1))]):
        _, answered = report_sheet(service, [ReportQuery(photo_of(n, n, n)) for n in range(2)])
    assert answered == 1


def test_report_sheet__bad_input(service: SearchService) -> None:
    with pytest.raises(ValueError, match="queries: at least one"):
        report_sheet(service, [])
    with pytest.raises(BadPhotoError, match="not_an_image"):
        report_sheet(service, [ReportQuery(b"<html>")])
