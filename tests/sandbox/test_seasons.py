"""Seasons: worlds that follow one another, the first of them the world of the same seed."""

import pytest

from sandbox.posts import SITES
from sandbox.seasons import Seasons, drawn_world
from sandbox.world import World


@pytest.fixture(scope="module")
def seasons() -> Seasons:
    return Seasons(3, 2001)


def test_seasons__begin_with_the_world_of_the_same_seed(seasons: Seasons) -> None:
    first = World(3, 1000)
    assert list(first.products) == list(seasons.products)[: len(first.products)] == list(seasons.listed)
    assert all(seasons.posts[site][7] == first.posts[site][7] for site in SITES)
    assert seasons.photo("kream", 3, 0) == first.photo("kream", 3, 0)


def test_seasons__ids_and_dates_go_on(seasons: Seasons) -> None:
    posts = [post for site in SITES for post in seasons.posts[site].values()]
    assert len(posts) == 2001
    for site in SITES:
        assert list(seasons.posts[site]) == list(range(1, len(seasons.posts[site]) + 1))
        dates = [post.posted_at for post in seasons.posts[site].values()]
        assert dates == sorted(dates)
    assert {tag.product_id for post in posts for tag in post.tags} <= seasons.products.keys()
    assert list(seasons.products) == sorted(seasons.products)


def test_seasons__the_last_one_has_pictures_of_its_own(seasons: Seasons) -> None:
    product = next(i for i in reversed(seasons.products) if seasons.has_thumbnail("kream", i))
    assert seasons.thumbnail("kream", product)
    assert product not in seasons.listed
    last = next(p for p in reversed(seasons.posts["onthelook"].values()) if not p.photos[0].fault)
    assert seasons.photo("onthelook", last.post_id, 0)[:2] == b"\xff\xd8"


@pytest.mark.parametrize("unknown", [0, 10**9])
def test_seasons__unknown_ids_are_refused(seasons: Seasons, unknown: int) -> None:
    with pytest.raises(KeyError):
        seasons.photo("kream", unknown, 0)
    with pytest.raises(KeyError):
        seasons.thumbnail("kream", unknown)


def test_drawn_world__small_ones_are_one_world() -> None:
    assert isinstance(drawn_world(1, 20), World)
