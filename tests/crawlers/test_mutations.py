"""5,000 damaged pages and pictures through every parser: no crash, and each that is refused has a reason."""

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from crawlers.errors import PageError
from crawlers.pages.kream import KreamPages
from crawlers.pages.musinsa import MusinsaPages
from crawlers.pages.onthelook import OnTheLookPages
from crawlers.pages.twentynine import TwentyNinePages
from curation.errors import ImageError
from curation.images import inspect
from curation.reasons import ImageFault
from tests.crawlers.fixtures import read

PAGES: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "kream post": ("kream_post.html", lambda html: KreamPages().parse_post(html, 1)),
    "kream post of 2023": ("kream_post_2023.html", lambda html: KreamPages().parse_post(html, 1)),
    "kream listing": ("kream_listing.html", KreamPages().parse_listing),
    "onthelook post": ("onthelook_post.html", lambda html: OnTheLookPages().parse_post(html, 1)),
    "musinsa snap": ("musinsa_1400000000000000003.html", lambda html: MusinsaPages().parse_post(html, 1)),
    "musinsa feed": ("musinsa_feed.html", MusinsaPages().parse_feed),
    "29cm listing": ("29cm_listing.json", TwentyNinePages().parse_listing),
}
PAGES_EACH: Final = 500
PICTURES_EACH: Final = 500
FORMATS: Final = ("JPEG", "PNG", "WEBP")
_MOST: Final = 60  # photos or products of a page


def mutated_text(text: str, random: np.random.Generator) -> str:
    """Some pieces lost, doubled, reversed or replaced by what breaks markup and JSON."""
    for _ in range(int(random.integers(1, 6))):
        start, length = int(random.integers(0, len(text))), int(random.integers(1, 60))
        piece = text[start : start + length]
        middle = ("", piece * 2, "[{<\"'&\x00", piece[::-1])[random.integers(0, 4)]
        text = text[:start] + middle + text[start + length :]
    return text


def mutated_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, and perhaps the end cut off."""
    changed = bytearray(data)
    for place in random.integers(0, len(data), size=int(random.integers(1, 30))):
        changed[place] = random.integers(0, 256)
    return bytes(changed[: random.integers(1, len(data))] if random.random() < 0.3 else changed)


def test_mutations__are_five_thousand() -> None:
    assert len(PAGES) * PAGES_EACH + len(FORMATS) * PICTURES_EACH >= 5_000


@pytest.mark.parametrize("name", PAGES)
def test_pages__mutated_ones_give_fields_or_a_reason(name: str) -> None:
    file, parse = PAGES[name]
    random, whole = np.random.default_rng(6), read(file)
    reasons: list[str] = []
    for _ in range(PAGES_EACH):
        try:
            found = parse(mutated_text(whole, random))
        except PageError as error:
            reasons.append(str(error))
            continue
        if hasattr(found, "images"):
            assert max(len(found.images), len(found.products)) <= _MOST
            assert all(url.startswith("http") for url in found.images)
    assert all(reasons)
    assert len(reasons) < PAGES_EACH


@pytest.mark.parametrize("kind", FORMATS)
def test_images__mutated_ones_decode_or_have_a_fault(kind: str) -> None:
    random, buffer = np.random.default_rng(7), io.BytesIO()
    Image.fromarray(random.integers(0, 255, (64, 48, 3), dtype=np.uint8)).save(buffer, kind)
    faults = set()
    for _ in range(PICTURES_EACH):
        try:
            assert inspect(mutated_bytes(buffer.getvalue(), random)).sha256
        except ImageError as error:
            faults.add(ImageFault(error.reason))
    assert ImageFault.TRUNCATED in faults
