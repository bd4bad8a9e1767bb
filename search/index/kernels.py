"""The compiled part of `search.index.lists`. Numba compiles it on first use and keeps the result on disk."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Codes = npt.NDArray[np.float32] | npt.NDArray[np.int8]
Places = npt.NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])


def _compiled(function: F) -> F:
    # Sums may be taken in another order, without which no processor adds more than one number at a time.
    return cast(F, numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})(function))


@_compiled
def _dot(a: Any, b: Vectors) -> Any:
    total = np.float32(0)
    for at in range(len(a)):
        total += np.float32(a[at]) * b[at]
    return total


@_compiled
def _insert(scores: Vectors, places: Places, count: int, score: Any, place: Any) -> int:
    """Keep the best, best first, in arrays of which `count` are used; gives how many then are."""
    if count < len(scores):
        count += 1
    elif len(scores) == 0 or score <= scores[count - 1]:
        return count
    at = count - 1
    while at > 0 and scores[at - 1] < score:
        scores[at] = scores[at - 1]
        places[at] = places[at - 1]
        at -= 1
    scores[at] = score
    places[at] = place
    return count


@_compiled
def _nearest_lists(nearest: Vectors, depth: tuple[float, int, int]) -> Places:
    """The lists to look into, of the scores of their centres; as many as `search_lists` says of `depth`."""
    probes = min(len(nearest), depth[1] if nearest.max() >= depth[0] else depth[2])
    bar = np.partition(nearest, len(nearest) - probes)[len(nearest) - probes]
    return np.flatnonzero(nearest >= bar)


@_compiled
def _scored_again(vectors: Vectors, query: Vectors, places: Places, top: int) -> tuple[Vectors, Places]:
    """The best of some positions by the vectors themselves."""
    best = np.empty(min(top, len(places)), np.float32)
    found = np.empty(len(best), np.int64)
    kept = 0
    for at in range(len(places)):
        kept = _insert(best, found, kept, _dot(vectors[places[at]], query), places[at])
    return best, found


@_compiled
def search_lists(
    centres: Vectors,
    starts: Places,
    order: Places,
    codes: Codes,
    vectors: Vectors,
    query: Vectors,
    scaled: Vectors,
    bits: npt.NDArray[np.uint8],
    depth: tuple[float, int, int],
    wanted: int,
    top: int,
) -> tuple[Vectors, Places]:
    """The best of the lists whose centres are nearest to a query.

    Args:
        centres: of the lists, shape (lists, d).
        starts: where each list begins in `order` and `codes`, shape (lists + 1,).
        order: positions of the vectors, list by list, shape (n,).
        codes: what is scored, in the same order, shape (n, d).
        vectors: what is scored again, in the order of their positions, shape (n, d).
        query: shape (d,).
        scaled: the query as it is to be multiplied with codes.
        bits: one for each position, the least significant first, set where it may be found; empty allows all.
        depth: score of the nearest centre from which the second number of lists is looked into, else the third. Where
            bits say what may be found, as many of those vectors are looked at as so many lists hold on average, from
            however many lists, and the nearest centre is that of the first list which holds one.
        wanted: how many are scored again; 0 takes the scores of the codes.
        top: how many at most.

    Returns:
        Scores and positions, best first, of one length.
    """
    nearest = np.empty(len(centres), np.float32)
    for at in range(len(centres)):
        nearest[at] = _dot(centres[at], query)
    chosen = np.argsort(-nearest) if len(bits) else _nearest_lists(nearest, depth)
    scores = np.empty(max(wanted, top), np.float32)
    places = np.empty(len(scores), np.int64)
    count = seen = 0
    enough = len(order)
    for part in chosen:
        before = seen
        for at in range(starts[part], starts[part + 1]):
            place = order[at]
            if len(bits) == 0 or (bits[place >> 3] >> (place & 7)) & 1:
                seen += 1
                count = _insert(scores, places, count, _dot(codes[at], scaled), place)
        if len(bits) and seen:
            if before == 0:
                deep = depth[1] if nearest[part] >= depth[0] else depth[2]
                enough = max(len(scores), deep * len(order) // len(centres))
            if seen >= enough:
                break
    if wanted == 0:
        return scores[:count], places[:count]
    return _scored_again(vectors, query, places[:count], top)
