"""How doubtful a pair is, from evidence that needs no model trained on these very pairs.

Noise is 1 minus a product of four shares, each near 1 when all is well:

- the detector's score;
- the agreement of the crop's colours with the thumbnail's (`curation.colours`);
- how many other products of the category agree less with the crop: a wrong tag agrees no better than chance;
- how well the crop agrees with crops of the same product in other posts, where there are any: the odd one out is wrong.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_GALLERY: Final = 2000  # products of a category that a crop is compared with
_PEERS: Final = 200  # crops of a product that a crop is compared with
_BLOCK: Final = 4096  # crops compared at once: 4096 × 2000 × 4 B = 32 MiB


def noise_scores(facts: Sequence[Mapping[str, Any]], crops: Floats, thumbnails: Floats) -> Floats:
    """Noise of each pair, 0 (all evidence speaks for it) to 1."""
    detector = np.array([row["detector_score"] for row in facts], np.float32)
    product = np.array([str(row["product_cluster_id"] or row["product_id"]) for row in facts])
    agreement = np.einsum("nd,nd->n", crops, thumbnails).clip(0, 1)
    category = np.array([row["category"] for row in facts])
    believed = detector * agreement
    for name in np.unique(category):
        rows = np.flatnonzero(category == name)
        believed[rows] *= _share_beaten(crops[rows], thumbnails[rows], agreement[rows], product[rows])
    posts = np.array([f"{row['site']}/{row['post_id']}" for row in facts])
    noise: Floats = (1 - believed * _consistency(crops, product, posts)).astype(np.float32)
    return noise


def _share_beaten(crops: Floats, thumbnails: Floats, agreement: Floats, product: npt.NDArray[np.str_]) -> Floats:
    """Share of other products whose thumbnails agree less with the crop than its own does."""
    _, first = np.unique(product, return_index=True)
    gallery = thumbnails[first[np.linspace(0, len(first) - 1, min(len(first), _GALLERY)).astype(np.int64)]]
    beaten = np.empty(len(crops), np.float32)
    for start in range(0, len(crops), _BLOCK):
        part = slice(start, start + _BLOCK)
        beaten[part] = 1 - (crops[part] @ gallery.T > agreement[part, None] + 1e-6).mean(axis=1)
    return beaten


def _consistency(crops: Floats, product: npt.NDArray[np.str_], posts: npt.NDArray[np.str_]) -> Floats:
    """Median agreement with crops of the same product in other posts; the median of all where there are none."""
    found = np.full(len(crops), np.nan, np.float32)
    order = np.argsort(product, kind="stable")
    starts = np.flatnonzero(np.r_[True, product[order][1:] != product[order][:-1]])
    for rows in np.split(order, starts[1:]):
        peers = rows[np.linspace(0, len(rows) - 1, min(len(rows), _PEERS)).astype(np.int64)]
        likeness = np.where(posts[rows, None] != posts[None, peers], crops[rows] @ crops[peers].T, np.nan)
        known = ~np.isnan(likeness).all(axis=1)
        found[rows[known]] = np.nanmedian(likeness[known], axis=1)
    usual = np.nanmedian(found) if not np.isnan(found).all() else 1.0
    return np.where(np.isnan(found), usual, found).clip(0, 1)
