"""Hits that show one and the same picture, folded into the best of them: a grid of copies helps nobody."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from curation.duplicates import PRODUCT_RULE, hash_bits
from curation.hashing import as_layouts, describe_bytes
from search.index import Hit, Product
from search.protocols import ProductIndex

SPARE: Final = 8  # hits asked for beyond those wanted, to fill the places of copies
NEAR: Final = 0.9
"""Cosine between two products from which their pictures are compared: copies of one picture lie nearer."""
_REMEMBERED: Final = 4096  # descriptions, about 1 KB each

Copies = Mapping[str, tuple[Hit, ...]]
"""By id of a product, the copies that were folded into it, best first."""


class CopyFolder:
    """Folds near-duplicates by the deduplication's rule for thumbnails, so colourways stay apart. Threads may share it.

    A picture is described when it first comes near another, a few milliseconds each, and remembered.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}  # by sha256 of the picture

    def fold(self, index: ProductIndex, hits: Sequence[Hit], top: int) -> tuple[tuple[Hit, ...], Copies]:
        """The best `top` hits without copies of better ones, and those copies."""
        vectors = index.vectors_of([hit.product.id for hit in hits])
        kept: list[int] = []
        copies: dict[str, list[Hit]] = {}
        for place, hit in enumerate(hits):
            near = [other for other in kept if vectors[other] @ vectors[place] >= NEAR]
            twin = next((other for other in near if self._same(index, hits[other], hit)), None)
            if twin is not None:
                copies.setdefault(hits[twin].product.id, []).append(hit)
            elif len(kept) < top:
                kept.append(place)
        return tuple(hits[place] for place in kept), {id: tuple(found) for id, found in copies.items()}  # noqa: A001

    def _same(self, index: ProductIndex, one: Hit, other: Hit) -> bool:
        if one.product.sha256 == other.product.sha256:
            return True
        a, b = (self._described(index, hit.product) for hit in (one, other))
        return not a["blank"] and not b["blank"] and _agree(a, b)

    def _described(self, index: ProductIndex, product: Product) -> dict[str, Any]:
        found = self._known.get(product.sha256)
        if found is None:
            found = describe_bytes(index.thumbnail(product.id))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[product.sha256] = found
        return found


def _agree(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    phash, dhash = (hash_bits(np.array([a[name]], np.uint64), np.uint64(b[name])) for name in ("phash", "dhash"))
    colour, luma = PRODUCT_RULE.levels(*(as_layouts([side["colour"]]) for side in (a, b)))
    return bool(PRODUCT_RULE.agrees(phash, dhash, colour, luma)[0])
