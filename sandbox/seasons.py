"""A world of any size: seasons that follow one another, each a small world of its own with its circles and products.

One large world would cost the square of its posts to draw, and no product would be tagged by posts near each other. In
seasons, as in fashion, a product is worn for some weeks. The first season is the `World` of the same seed.
"""

from bisect import bisect
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from sandbox.posts import SITES, START, Beginning, Post
from sandbox.products import Product
from sandbox.world import World

SEASON: Final = 1000  # posts, about
_ONE_WORLD: Final = 5000  # posts; larger ones have seasons


def drawn_world(seed: int, posts: int, products: int | None = None) -> "World | Seasons":
    """The world of a seed and size. Raises ValueError as `World` does."""
    return World(seed, posts, products) if posts <= _ONE_WORLD or products else Seasons(seed, posts)


class Seasons:
    """Worlds one after the other, with ids and dates that go on. Listings show what the first season sells.

    Posts and products are drawn here, at half a second a season; pictures when they are asked for.
    """

    def __init__(self, seed: int, posts: int) -> None:
        self.seed = seed
        count = max(1, posts // SEASON)
        bounds = [posts * number // count for number in range(count + 1)]
        self._begins: list[Beginning] = []
        self._worlds: list[World] = []
        begin = START
        for number in range(count):
            own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed
            world = World(own_seed, bounds[number + 1] - bounds[number], begin=begin)
            self._begins.append(begin)
            self._worlds.append(world)
            begin = _end(world, begin)
        self.products: dict[int, Product] = {}
        self.posts: dict[str, dict[int, Post]] = {site: {} for site in SITES}
        for world in self._worlds:
            self.products |= world.products
            for site in SITES:
                self.posts[site] |= world.posts[site]

    @property
    def listed(self) -> Mapping[int, Product]:
        """What the shop's listings show: what it sold first. Shops list what they have, not what they ever had."""
        return self._worlds[0].products

    def site_product_id(self, site: str, product_id: int) -> str:
        """Return the id under which a site knows a product."""
        return self._worlds[0].site_product_id(site, product_id)

    def photo(self, site: str, post_id: int, position: int, width: int | None = None) -> bytes:
        """See `World.photo`."""
        season = self._at(bisect([begin.post_ids[site] for begin in self._begins], post_id - 1))
        return season.photo(site, post_id, position, width)

    def thumbnail(self, site: str, product_id: int, width: int | None = None) -> bytes:
        """See `World.thumbnail`."""
        return self._of(product_id).thumbnail(site, product_id, width)

    def has_thumbnail(self, site: str, product_id: int) -> bool:
        """See `World.has_thumbnail`."""
        return self._of(product_id).has_thumbnail(site, product_id)

    def truth(self) -> dict[str, pa.Table]:
        """Return the ground truth of all seasons. Draws every photo once."""
        tables = [world.truth() for world in self._worlds]
        return {name: pa.concat_tables([of[name] for of in tables]) for name in tables[0]}

    def _of(self, product_id: int) -> World:
        return self._at(bisect([begin.product_id for begin in self._begins], product_id - 1))

    def _at(self, place: int) -> World:
        """The season before a place; of an id below all, any: it knows no such thing."""
        return self._worlds[max(place, 1) - 1]


def _end(world: World, begin: Beginning) -> Beginning:
    last = {site: max(posts, default=begin.post_ids[site]) for site, posts in world.posts.items()}
    posted_at = max(post.posted_at for posts in world.posts.values() for post in posts.values())
    return Beginning(max(world.products), last, posted_at)
