"""Who wears what: circles of users with shared closets, their posts, and the flaws of their tags.

Niche circles share no product with anyone outside, so that the graph of posts and products falls into one giant
part (the circles that also wear the best-sellers) and many small ones: a split without leaks needs both.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np

from curation.taxonomy import CATEGORIES, ETC
from sandbox import flaws
from sandbox.posts import FRAMINGS, KREAM, ONTHELOOK, START, Beginning, Copy, Photo, Post, Tag
from sandbox.products import Product
from sandbox.seeds import stream

GARMENTS_PER_POST: Final = 0.7
"""Garments in the closets per post: with about 3.5 tags a post, a product is tagged about five times."""
POSTS_PER_CIRCLE: Final = 20
USERS_PER_CIRCLE: Final = (5, 8)
BEST_SELLERS_PER_CLASS: Final = 2
BEST_SELLER_CHANCE: Final = 0.18
"""How often someone of a mainstream circle wears a best-seller instead of something of the circle's own."""
CLOSET_SHARE: Final = 0.7
"""Part of the circle's products of a class that one user owns."""
ZIPF: Final = 0.3
"""Exponent of the popularity of products inside a circle."""
KREAM_SHARE: Final = 0.75
"""Part of the posts on KREAM; the others are on OnTheLook."""

_WEAR: Final[Mapping[str, float]] = {"dress": 0.3, "outer": 0.3, "shoes": 0.92, "bag": 0.45, "hat": 0.36}
"""How often a slot is worn; without a dress, a top and a bottom are."""
_MAX_WORN: Final = 5
_LEAST: Final = 2  # products of a class in a circle, so that a wrong tag has something to show
_PHOTO_COUNTS: Final = ((1, 0.60), (2, 0.28), (3, 0.12))
_FIRST_FRAMING: Final = (0.66, 0.23, 0.06, 0.03, 0.02)
_LATER_FRAMING: Final = (0.56, 0.23, 0.09, 0.07, 0.05)
_FULL_SHARE: Final = 0.62  # of all photos, first and later: only these have room for a bystander
_PHOTO_SIZES: Final = ((360, 480), (384, 512), (360, 540), (376, 520), (340, 500))
_GREETINGS: Final = (
    "Today's look",
    "Weekend fit",
    "Simple but good",
    "Office day",
    "Rainy day layers",
    "New in",
    "Coffee run",
)
_TURNS: Final = (3, 6, 8)


@dataclass(frozen=True)
class Circle:
    """Users who dress alike. `closets` holds, for each user, the product ids of each class, most popular first."""

    users: tuple[str, ...]
    pool: dict[str, list[int]]
    closets: tuple[dict[str, list[int]], ...]
    mainstream: bool


def _by_family(products: Mapping[int, Product], category: str, rng: np.random.Generator) -> list[list[int]]:
    families: dict[int, list[int]] = defaultdict(list)
    for product in products.values():
        if product.category == category:
            families[product.family].append(product.product_id)
    names = sorted(families)
    return [families[names[i]] for i in rng.permutation(len(names))]


def _deal(families: list[list[int]], hands: int, budget: int) -> list[list[int]]:
    """Deal whole families to the hand that holds least, until `budget` products are out and no hand is short."""
    dealt: list[list[int]] = [[] for _ in range(hands)]
    for members in families:
        if sum(map(len, dealt)) >= budget and min(map(len, dealt)) >= _LEAST:
            break
        min(dealt, key=len).extend(members)
    return dealt


def draw_circles(
    rng: np.random.Generator, products: Mapping[int, Product], posts: int
) -> tuple[list[Circle], dict[str, list[int]]]:
    """Return the circles, and the best-sellers by class that all mainstream circles share."""
    count = max(2, round(posts / POSTS_PER_CIRCLE))
    garments = sum(product.category != ETC for product in products.values())
    active = min(1.0, posts * GARMENTS_PER_POST / garments)
    best: dict[str, list[int]] = {}
    pools: list[dict[str, list[int]]] = [{} for _ in range(count)]
    for category in (*CATEGORIES, ETC):
        families = _by_family(products, category, rng)
        if category != ETC:
            best[category] = [members[0] for members in families[:BEST_SELLERS_PER_CLASS]]
            families = families[BEST_SELLERS_PER_CLASS:]
        budget = round(active * sum(map(len, families)))
        for pool, members in zip(pools, _deal(families, count, budget), strict=True):
            pool[category] = [int(i) for i in rng.permutation(members)]
    return [_circle(rng, number, pool, mainstream=number % 3 == 0) for number, pool in enumerate(pools)], best


def _circle(rng: np.random.Generator, number: int, pool: dict[str, list[int]], *, mainstream: bool) -> Circle:
    size = int(rng.integers(USERS_PER_CIRCLE[0], USERS_PER_CIRCLE[1] + 1))
    closets = []
    for _ in range(size):
        kept = {c: [i for i in ids if rng.random() < CLOSET_SHARE] or ids[:1] for c, ids in pool.items()}
        closets.append(kept)
    users = tuple(f"user{number:03d}{chr(97 + i)}" for i in range(size))
    return Circle(users, pool, tuple(closets), mainstream)


def _pick(rng: np.random.Generator, ids: Sequence[int]) -> int:
    weights = (1.0 + np.arange(len(ids))) ** -ZIPF
    return int(rng.choice(ids, p=weights / weights.sum()))


def _outfit(rng: np.random.Generator, circle: Circle, user: int, best: Mapping[str, list[int]]) -> dict[str, int]:
    worn = {slot: bool(rng.random() < chance) for slot, chance in _WEAR.items()}
    worn["dress"] = worn["dress"] and bool(circle.closets[user]["dress"])
    worn |= {"top": not worn["dress"], "bottom": not worn["dress"]}
    slots = [c for c in ("top", "bottom", "dress", "shoes", "outer", "bag", "hat") if worn[c]]
    outfit = {}
    for category in slots[:_MAX_WORN]:
        closet = circle.closets[user][category]
        if circle.mainstream and (rng.random() < BEST_SELLER_CHANCE or not closet):
            closet = best[category]
        if closet:
            outfit[category] = _pick(rng, closet)
    return outfit


def _tags(
    rng: np.random.Generator, circle: Circle, outfit: Mapping[str, int], best: Mapping[str, list[int]]
) -> tuple[Tag, ...]:
    """Tag the outfit, with the flaws of `sandbox.flaws`. Wrong and surplus products come from the circle itself."""
    if rng.random() < flaws.UNTAGGED_POST_RATE:
        return ()
    shown: list[tuple[int, bool]] = []
    wrong_rate = _wrong_rate(circle)
    absent = [c for c in (*CATEGORIES, ETC, ETC) if c not in outfit and circle.pool[c]]
    for category, product_id in outfit.items():
        draws = rng.random(3)
        others = [i for i in circle.pool[category] if i != product_id]
        others = others or [i for i in best[category] if circle.mainstream and i != product_id]
        if draws[0] >= flaws.MISSING_TAG_RATE:
            wrong = draws[1] < wrong_rate and bool(others)
            shown.append((int(rng.choice(others)) if wrong else product_id, not wrong))
        if draws[2] < flaws.SURPLUS_TAG_RATE and absent:
            category = absent.pop(int(rng.integers(len(absent))))
            absent = [c for c in absent if c != category]
            shown.append((_pick(rng, circle.pool[category]), True))
    order = rng.permutation(len(shown))
    return tuple(Tag(position, *shown[int(i)]) for position, i in enumerate(order))


def _wrong_rate(circle: Circle) -> float:
    """Rate of wrong tags where the circle has another product to show, so that the rate of all tags is as named."""
    wear = {"top": 1 - _WEAR["dress"], "bottom": 1 - _WEAR["dress"], **_WEAR}
    possible = sum(share for category, share in wear.items() if circle.mainstream or len(circle.pool[category]) > 1)
    return flaws.WRONG_TAG_RATE * sum(wear.values()) / possible if possible else 0.0


def _photos(rng: np.random.Generator) -> tuple[Photo, ...]:
    count = int(rng.choice([n for n, _ in _PHOTO_COUNTS], p=[p for _, p in _PHOTO_COUNTS]))
    photos = []
    for position in range(count):
        width, height = _PHOTO_SIZES[int(rng.integers(len(_PHOTO_SIZES)))]
        framing = str(rng.choice(FRAMINGS, p=_LATER_FRAMING if position else _FIRST_FRAMING))
        draws = rng.random(3)
        photos.append(
            Photo(
                position=position,
                framing=framing,
                width=width,
                height=height,
                quality=int(rng.integers(60, 91)),
                orientation=int(rng.choice(_TURNS)) if draws[0] < flaws.TURNED_RATE else 1,
                bystander=bool(framing == "full" and draws[1] < flaws.BYSTANDER_RATE / _FULL_SHARE),
                fault=str(rng.choice(flaws.FAULTS)) if draws[2] < flaws.BROKEN_PHOTO_RATE else None,
            )
        )
    return tuple(photos)


def _post(rng: np.random.Generator, circle: Circle, best: Mapping[str, list[int]]) -> Post:
    user = int(rng.integers(len(circle.users)))
    outfit = _outfit(rng, circle, user, best)
    return Post(
        site=KREAM if rng.random() < KREAM_SHARE else ONTHELOOK,
        post_id=0,
        gone=bool(rng.random() < flaws.GONE_RATE),
        ai_made=bool(rng.random() < flaws.AI_MADE_RATE),
        posted_at=START.posted_at,
        photos=_photos(rng),
        tags=_tags(rng, circle, outfit, best),
        user=circle.users[user],
        text=str(rng.choice(_GREETINGS)),
        worn=tuple(outfit.values()),
        copy=None,
    )


def _repost(rng: np.random.Generator, post: Post, original: Post) -> Post:
    """Return `post` with everything but site, number and owner taken from another post."""
    kind = str(rng.choice(flaws.COPY_KINDS))
    photos = tuple(replace(photo, fault=None, orientation=1) for photo in original.photos)
    return replace(
        post,
        gone=False,
        ai_made=original.ai_made,
        photos=photos,
        tags=original.tags,
        worn=original.worn,
        copy=Copy(original.site, original.post_id, kind),
    )


def draw_posts(
    seed: int, products: Mapping[int, Product], posts: int, begin: Beginning = START
) -> dict[str, dict[int, Post]]:
    """Draw all posts of both sites: site → post id (without gaps; deleted ones say `gone`) → post."""
    rng = stream(seed, "people")
    circles, best = draw_circles(rng, products, posts)
    weights = rng.uniform(0.7, 1.3, size=len(circles))
    members = rng.choice(len(circles), size=posts, p=weights / weights.sum())
    sites: dict[str, dict[int, Post]] = {KREAM: {}, ONTHELOOK: {}}
    sources: dict[int, list[Post]] = defaultdict(list)
    clock = begin.posted_at
    for circle in members.tolist():
        post = _post(rng, circles[circle], best)
        clock += timedelta(minutes=int(rng.integers(3, 240)))
        post = replace(post, post_id=begin.post_ids[post.site] + len(sites[post.site]) + 1, posted_at=clock)
        if sources[circle] and rng.random() < flaws.REPOST_RATE:
            post = _repost(rng, post, sources[circle][int(rng.integers(len(sources[circle])))])
        elif not post.gone and not any(photo.fault for photo in post.photos):
            sources[circle].append(post)
        sites[post.site][post.post_id] = post
    return sites
