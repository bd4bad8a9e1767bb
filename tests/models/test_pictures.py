"""Contact sheets, boxes and curves."""

import pytest
from PIL import Image

from models.boxes import Detection
from models.pictures import COLOURS, contact_sheet, curve, draw_boxes


def test_contact_sheet__shows_every_picture():
    sheet = contact_sheet([Image.new("RGB", (50, 100), colour) for colour in ("red", "lime", "blue")], ["a"] * 3, 2, 40)
    assert {(255, 0, 0), (0, 255, 0), (0, 0, 255)} <= {colour for _, colour in sheet.getcolors(1 << 20)}
    assert sheet.width < 2 * 50 + 10 < sheet.height


@pytest.mark.parametrize(("images", "captions"), [([], []), ([Image.new("RGB", (5, 5))], ["a", "b"])])
def test_contact_sheet__nothing_or_unequal(images, captions):
    with pytest.raises(ValueError, match="contact sheet"):
        contact_sheet(images, captions)


def test_draw_boxes__marks_the_box_and_leaves_the_original():
    photo = Image.new("RGB", (200, 200), "white")
    result = draw_boxes(photo, [Detection("top", 0.9, (20, 20, 180, 180))])
    assert result.getpixel((100, 180)) == tuple(bytes.fromhex(COLOURS["top"][1:]))
    assert photo.getcolors() == [(200 * 200, (255, 255, 255))]


def test_curve__one_point_and_many():
    assert curve({"a": [(0, 1)]}, "one").size == curve({"a": [(0, 1), (5, 3)], "b": [(1, 2)]}, "two").size


def test_curve__no_point():
    with pytest.raises(ValueError, match="loss"):
        curve({"a": []}, "loss")
