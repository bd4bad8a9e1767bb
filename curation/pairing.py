"""Pairing rules: which crop of a post shows which tagged product. Pure functions on rows.

The baseline is the rule of the field's prior work: a post photo and its tagged thumbnails pair by class, unless a class
is ambiguous on either side. Here colours decide between several boxes or several tags of one class where they tell them
apart clearly, and a product pairs with every photo of its post that shows it: more views of it to learn from.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np

from curation.reasons import PairDrop

Row = dict[str, Any]
Agreement = Callable[[Row, Row], float]
"""How well the colours of a crop and a thumbnail agree, 0-1."""

_SHOES: Final = 2  # a person wears two, and one of everything else


@dataclass(frozen=True)
class PairingRules:
    """When a class is ambiguous in one photo, and when a tag is not believed. The prior rules are (0, 0, 1)."""

    dominance: float = 0.35
    """A further box of a class is somebody in the background, and ignored, when its area is below this share of the
    largest one's; 0: any second box counts."""
    least_agreement: float = 0.6
    """Least agreement of colours, 0-1; 0 believes every tag. On drawn posts this drops half of the wrong pairs and
    one in forty of the right ones."""
    least_lead: float = 0.15
    """Where a class has several boxes or several tags: by how much the colours of a box and a tag must agree better
    than either does with any other one; 1: such a class is always ambiguous."""


def garments(crops: Iterable[Row], rules: PairingRules) -> dict[str, list[Row]]:
    """The garments of each class that one photo shows, those of people in the background left out.

    Two shoes are one garment, the surest of them its crop: joined in one crop they are smaller, and were found less
    often. Three or more are left as they are.

    Args:
        crops: kept detections of one photo (`category`, `score`, `box`).
        rules: what is background.
    """
    by_class: dict[str, list[Row]] = defaultdict(list)
    for crop in crops:
        by_class[crop["category"]].append(crop)
    found = {}
    for category, members in by_class.items():
        largest = max(_area(crop["box"]) for crop in members)
        front = [crop for crop in members if _area(crop["box"]) >= rules.dominance * largest]
        one = category == "shoes" and len(front) <= _SHOES
        found[category] = [max(front, key=itemgetter("score"))] if one else front
    return found


def assign(boxes: Sequence[Row], tags: Sequence[Row], agreement: Agreement, rules: PairingRules) -> dict[int, Row]:
    """The box of each tag, by position, of those that belong together beyond doubt; both are of one class.

    One box and one tag do. Of more, those whose colours agree better than either does with any other, by
    `rules.least_lead`.
    """
    if len(boxes) == len(tags) == 1:
        return {0: boxes[0]}
    if rules.least_lead >= 1 or not boxes or not tags:
        return {}
    agreements = np.array([[agreement(box, tag) for tag in tags] for box in boxes])
    sure = {}
    for tag, box in enumerate(agreements.argmax(axis=0)):
        others = np.r_[np.delete(agreements[box], tag), np.delete(agreements[:, tag], box)]
        if agreements[box, tag] - others.max() >= rules.least_lead:
            sure[tag] = boxes[box]
    return sure


def pair_post(
    photos: Mapping[int, list[Row]],
    thumbnails: Sequence[Row],
    reposts: set[int],
    agreement: Agreement,
    rules: PairingRules,
) -> Iterator[tuple[Row, Row | None, PairDrop | None]]:
    """Decide every tagged product of one post: one (thumbnail, crop, None) for each photo that shows it, the surest
    first, or one (thumbnail, None, reason).

    Args:
        photos: kept crops by photo position.
        thumbnails: THUMBNAILS rows of the post.
        reposts: positions of photos that are near-duplicates of an earlier post's photo.
        agreement: of a crop and a thumbnail; asked only where a class occurs twice.
        rules: when a class is ambiguous.
    """
    fresh = [garments(crops, rules) for position, crops in photos.items() if position not in reposts]
    tags: dict[str, list[int]] = defaultdict(list)
    for index, thumbnail in enumerate(thumbnails):
        if thumbnail["kept"]:
            tags[thumbnail["category"]].append(index)
    found: dict[int, list[Row]] = defaultdict(list)
    for shown in fresh:
        for category, indices in tags.items():
            named = [thumbnails[index] for index in indices]
            for place, crop in assign(shown.get(category, []), named, agreement, rules).items():
                found[indices[place]].append(crop)
    for index, thumbnail in enumerate(thumbnails):
        if index in found:
            yield from ((thumbnail, crop, None) for crop in sorted(found[index], key=itemgetter("score"), reverse=True))
        else:
            yield thumbnail, None, _why_none(thumbnail, len(tags[thumbnail["category"]]), fresh, reposts)


def _why_none(thumbnail: Row, tags: int, fresh: Sequence[Mapping[str, list[Row]]], reposts: set[int]) -> PairDrop:
    if not thumbnail["kept"]:
        return PairDrop.THUMBNAIL
    if reposts and not fresh:
        return PairDrop.REPOST
    if not any(thumbnail["category"] in shown for shown in fresh):
        return PairDrop.NO_BOX
    return PairDrop.AMBIGUOUS_TAGS if tags > 1 else PairDrop.AMBIGUOUS_BOXES


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
