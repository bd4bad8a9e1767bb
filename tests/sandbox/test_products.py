"""The drawn catalogue: what tells products apart can be seen."""

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sandbox.drawing.style import GarmentStyle
from sandbox.drawing.thumbnail import draw_thumbnail
from sandbox.products import CUTS, PRINTED_CUTS, draw_style


def _printed(category: str, cut: str) -> GarmentStyle:
    rng = np.random.default_rng(5)
    styles = (draw_style(rng, category) for _ in range(2000))
    return next(style for style in styles if style.cut == cut and style.print_ != "none")


def _drawn(style: GarmentStyle) -> NDArray[np.int64]:
    data = draw_thumbnail(style, 300, np.random.default_rng(6))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int64)


@pytest.mark.parametrize(
    ("category", "cut"), [(c, cut) for c, cuts in CUTS.items() for cut in cuts if cut in PRINTED_CUTS]
)
def test_print__shows_on_every_cut_that_may_have_one(category: str, cut: str) -> None:
    style = _printed(category, cut)
    changed = np.abs(_drawn(style) - _drawn(replace(style, print_="none"))).max(2) > 40
    assert changed.mean() > 0.001
