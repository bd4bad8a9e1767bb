"""What each maker of detection data calls a garment → our classes.

A detector has the project's seven classes, or twelve: five more kinds of things that people wear, so that a belt is not
taken for a bag. Each map holds all twelve; a box of a class that is not asked for is dropped and counted.
"""

from collections.abc import Mapping
from typing import Final

from curation.taxonomy import CATEGORIES

CLASSES: Final[tuple[str, ...]] = (*CATEGORIES, "belt", "eyewear", "glove", "jumpsuit", "watch")
"""The twelve, in label-id order; the first seven are the project's categories with their ids."""

MODANET: Final[Mapping[str, str]] = {
    "bag": "bag",
    "belt": "belt",
    "boots": "shoes",
    "footwear": "shoes",
    "outer": "outer",
    "dress": "dress",
    "sunglasses": "eyewear",
    "pants": "bottom",
    "shorts": "bottom",
    "skirt": "bottom",
    "top": "top",
    "headwear": "hat",
}
FASHIONPEDIA: Final[Mapping[str, str]] = {
    "skirt": "bottom",
    "pants": "bottom",
    "shorts": "bottom",
    "tights, stockings": "bottom",
    "top, t-shirt, sweatshirt": "top",
    "sweater": "top",
    "shirt, blouse": "top",
    "cape": "outer",
    "coat": "outer",
    "cardigan": "outer",
    "jacket": "outer",
    "vest": "outer",
    "shoe": "shoes",
    "dress": "dress",
    "bag, wallet": "bag",
    "hat": "hat",
    "belt": "belt",
    "glasses": "eyewear",
    "glove": "glove",
    "jumpsuit": "jumpsuit",
    "watch": "watch",
}
DEEPFASHION2: Final[Mapping[str, str]] = {
    "short sleeve top": "top",
    "long sleeve top": "top",
    "short sleeve outwear": "outer",
    "long sleeve outwear": "outer",
    "vest": "top",  # a top without sleeves; Fashionpedia's vest is worn over one
    "sling": "top",
    "shorts": "bottom",
    "trousers": "bottom",
    "skirt": "bottom",
    "short sleeve dress": "dress",
    "long sleeve dress": "dress",
    "vest dress": "dress",
    "sling dress": "dress",
}
K_FASHION: Final[Mapping[str, str]] = {
    "상의": "top",
    "하의": "bottom",
    "원피스": "dress",
    "아우터": "outer",
    "점프수트": "jumpsuit",
}
SAME: Final[Mapping[str, str]] = {name: name for name in CLASSES}
"""For a set whose classes are named as ours."""
