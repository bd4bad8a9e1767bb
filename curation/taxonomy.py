"""The seven garment classes, the reject class, and the splits. Everything else in the project maps to these names."""

from typing import Final, Literal, get_args

Category = Literal["bag", "bottom", "dress", "hat", "outer", "shoes", "top"]
Split = Literal["train", "validation", "test"]

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
"""Detector and pair classes, in label-id order."""

ETC: Final = "etc"
"""Everything a shop sells that is not one of the seven: watches, wallets, phones. The classifier's reject class."""

LABELS: Final[tuple[str, ...]] = (*CATEGORIES, ETC)
"""Classifier labels, in label-id order."""

SPLITS: Final[tuple[Split, ...]] = get_args(Split)
