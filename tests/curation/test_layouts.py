"""Colour layouts laid over each other: what a cut, a watermark and another light leave, and what somebody else does."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from curation.hashing import colour_layout
from curation.layouts import laid_over, worst_cell
from tests.curation.builders import scene

_SIZE = (400, 500)


def _rows(*images: Image.Image) -> np.ndarray:
    return np.stack([colour_layout(image) for image in images])


def test_laid_over__a_cut_moves_cells_and_is_undone() -> None:
    original = scene(3, _SIZE)
    cut = original.crop((20, 5, 395, 480))
    worst = worst_cell(_rows(original), _rows(cut))
    chroma, luma = laid_over(_rows(original), _rows(cut))
    assert chroma[0] < worst[0][0] / 4
    assert luma[0] < worst[1][0] / 4


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_laid_over__light_is_no_difference(factor: float) -> None:
    original = scene(4, _SIZE)
    _, luma = laid_over(_rows(original), _rows(ImageEnhance.Contrast(original).enhance(factor)))
    assert luma[0] < 2


def test_laid_over__a_watermark_is_in_the_odd_cells() -> None:
    original = scene(5, _SIZE)
    marked = original.copy()
    ImageDraw.Draw(marked).rectangle([300, 450, 380, 490], fill="white")
    _, worst = worst_cell(_rows(original), _rows(marked))
    chroma, luma = laid_over(_rows(original), _rows(marked))
    assert worst[0] > 50
    assert max(chroma[0], luma[0]) < worst[0] / 4


def test_laid_over__another_scene_stays_another() -> None:
    others = _rows(*(scene(number, _SIZE) for number in range(6, 16)))
    chroma, luma = laid_over(others, _rows(scene(3, _SIZE)))
    assert ((chroma > 10) | (luma > 20)).all()


def test_laid_over__order_and_company_do_not_matter() -> None:
    originals = [scene(number, _SIZE) for number in range(20, 25)]
    a, b = _rows(*originals), _rows(*(image.crop((9, 12, 380, 490)) for image in originals))
    together = laid_over(a, b)
    assert [side.tolist() for side in laid_over(b, a)] == [side.tolist() for side in together]
    alone = [laid_over(a[row : row + 1], b[row : row + 1]) for row in range(len(a))]
    assert [np.concatenate(side).tolist() for side in zip(*alone, strict=True)] == [s.tolist() for s in together]


def test_laid_over__plain_pictures_do_not_move() -> None:
    grey = _rows(Image.new("RGB", (64, 64), "#808080"))
    assert [side.tolist() for side in laid_over(grey, grey)] == [[0.0], [0.0]]


def test_laid_over__nothing_to_compare() -> None:
    none = np.empty((0, _rows(scene(1)).shape[1]), np.uint8)
    assert [len(side) for side in laid_over(none, none)] == [0, 0]
