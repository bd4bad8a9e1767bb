"""The drawn world: the same for a seed, flawed at the promised rates, and honest about its own truth."""

import io
from collections import Counter, defaultdict
from collections.abc import Sized
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from curation.taxonomy import CATEGORIES, LABELS
from sandbox import encoding, flaws
from sandbox.posts import SITES
from sandbox.truth import LEAST_SIDE
from sandbox.world import World


@cache
def small() -> World:
    return World(seed=5, posts=60)


@cache
def large() -> World:
    return World(seed=3, posts=1500)


@cache
def truth() -> dict[str, list[dict[str, Any]]]:
    return {name: table.to_pylist() for name, table in small().truth().items()}


def all_posts(world: World) -> list[Any]:
    return [post for site in SITES for post in world.posts[site].values()]


def opened(data: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data)))


def whole_photo(world: World) -> tuple[str, int]:
    """The first photo of a post of one's own that is neither broken nor turned."""
    return next(
        (post.site, post.post_id)
        for post in all_posts(world)
        if not post.gone and not post.copy and post.photos[0].fault is None and post.photos[0].orientation == 1
    )


def test_world__same_seed_same_bytes_in_any_order() -> None:
    first, second = World(8, 12), World(8, 12)
    ids = [(post.site, post.post_id) for post in all_posts(first)][:4]
    products = list(first.products)[:4]
    photos = [first.photo(site, post_id, 0) for site, post_id in ids]
    thumbnails = [first.thumbnail("kream", p) for p in products if first.has_thumbnail("kream", p)]
    assert [second.thumbnail("kream", p) for p in products if second.has_thumbnail("kream", p)] == thumbnails
    assert [second.photo(site, post_id, 0) for site, post_id in reversed(ids)] == photos[::-1]
    assert first.posts == second.posts
    assert first.products == second.products


def test_world__other_seed_other_world() -> None:
    assert World(1, 12).products != World(2, 12).products


@pytest.mark.parametrize(("posts", "products"), [(0, None), (-3, None), (10, 5)])
def test_world__refuses_an_impossible_size(posts: int, products: int | None) -> None:
    with pytest.raises(ValueError, match=r"posts|products"):
        World(1, posts, products)


def test_world__has_every_label_and_enough_products() -> None:
    counts = Counter(product.category for product in small().products.values())
    assert set(counts) == set(LABELS)
    assert sum(counts.values()) == len(small().products) >= 340
    assert min(counts[category] for category in CATEGORIES) >= 20


def test_world__siblings_differ_only_in_colour_or_only_in_print() -> None:
    families = defaultdict(list)
    for product in large().products.values():
        families[product.family].append(product.style)
    colours, prints = ("main", "second", "accent"), ("print_", "print_seed")
    pairs = [(f[0], other) for f in families.values() for other in f[1:]]
    assert len(pairs) > 100
    for a, b in pairs:
        changed = {name for name in a.__dataclass_fields__ if getattr(a, name) != getattr(b, name)}
        assert changed
        assert changed <= set(colours) or changed <= set(prints)


def near(rate: float, draws: Sized) -> Any:
    """The rate within three standard deviations of what so many draws give."""
    return pytest.approx(rate, abs=3 * (rate * (1 - rate) / len(draws)) ** 0.5)


def test_world__flaws_come_at_their_rates() -> None:
    world, posts = large(), all_posts(large())
    own = [post for post in posts if not post.copy]
    worn = [(post, world.products[i].category) for post in own if post.tags for i in post.worn]
    shown = {
        (id(post), world.products[tag.product_id].category): tag
        for post in own
        for tag in post.tags
        if world.products[tag.product_id].category in {world.products[i].category for i in post.worn}
    }
    tags = [tag for post in own for tag in post.tags]
    surplus = len(tags) - len(shown)
    photos = [photo for post in own for photo in post.photos]
    assert len(shown) / len(worn) == near(1 - flaws.MISSING_TAG_RATE, worn)
    assert np.mean([not tag.right for tag in shown.values()]) == near(flaws.WRONG_TAG_RATE, shown)
    assert surplus / len(worn) == near(flaws.SURPLUS_TAG_RATE, worn)
    assert np.mean([bool(post.copy) for post in posts]) == near(flaws.REPOST_RATE, posts)
    assert np.mean([post.gone for post in own]) == near(flaws.GONE_RATE, own)
    assert np.mean([post.ai_made for post in posts]) == near(flaws.AI_MADE_RATE, posts)
    assert np.mean([photo.fault is not None for photo in photos]) == near(flaws.BROKEN_PHOTO_RATE, photos)
    assert np.mean([photo.bystander for photo in photos]) == near(flaws.BYSTANDER_RATE, photos)


def test_world__products_of_niche_circles_stay_inside() -> None:
    """Posts and tagged products fall into one large part and many small ones: splits need them."""
    parent: dict[object, object] = {}

    def root(node: object) -> object:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for post in all_posts(large()):
        for tag in post.tags:
            parent[root((post.site, post.post_id))] = root(tag.product_id)
        if post.copy:
            parent[root((post.site, post.post_id))] = root((post.copy.site, post.copy.post_id))
    sizes = Counter(root((post.site, post.post_id)) for post in all_posts(large()) if post.tags)
    biggest = max(sizes.values()) / sum(sizes.values())
    assert 0.2 < biggest < 0.5
    assert len([size for size in sizes.values() if size >= 5]) >= 20


def test_photo__boxes_lie_inside_and_show_the_products_worn() -> None:
    world = small()
    sizes = {
        (post.site, post.post_id, photo.position): opened(world.photo(post.site, post.post_id, photo.position)).size
        for post in all_posts(world)[:25]
        for photo in post.photos
        if photo.fault is None and not post.gone
    }
    rows = [row for row in truth()["boxes"] if (row["site"], row["post_id"], row["position"]) in sizes]
    assert len(rows) > 50
    for row in rows:
        width, height = sizes[row["site"], row["post_id"], row["position"]]
        x0, y0, x1, y1 = row["box"]
        assert 0 <= x0 < x1 <= width + 0.01
        assert 0 <= y0 < y1 <= height + 0.01
        assert 0 < row["visible"] <= 1
        assert row["category"] in CATEGORIES
        if row["person"] == "main":
            worn = world.posts[row["site"]][row["post_id"]].worn
            assert row["product_id"] in worn
            assert world.products[row["product_id"]].category == row["category"]


def test_photo__at_most_two_shoes_and_one_of_everything_else_per_person() -> None:
    counts = Counter(
        (row["site"], row["post_id"], row["position"], row["person"], row["category"]) for row in truth()["boxes"]
    )
    assert all(count <= (2 if key[-1] == "shoes" else 1) for key, count in counts.items())


def test_draw__boxes_only_gives_the_same_boxes() -> None:
    site, post_id = whole_photo(small())
    assert small().draw(site, post_id, 0, boxes_only=True).boxes == small().draw(site, post_id, 0).boxes


def test_photo__width_selects_the_size_and_never_enlarges() -> None:
    site, post_id = whole_photo(small())
    full = opened(small().photo(site, post_id, 0))
    assert opened(small().photo(site, post_id, 0, width=120)).width == 120
    assert opened(small().photo(site, post_id, 0, width=9999)).size == full.size
    with pytest.raises(ValueError, match="width"):
        small().photo(site, post_id, 0, width=0)


def test_photo__exif_turned_photo_is_upright_after_transposing() -> None:
    post, photo = next(
        (post, photo)
        for post in all_posts(large())
        for photo in post.photos
        if photo.orientation == 6 and photo.fault is None and not post.copy
    )
    data = large().photo(post.site, post.post_id, photo.position)
    assert Image.open(io.BytesIO(data)).size == (photo.height, photo.width)
    upright = np.asarray(opened(data).convert("RGB"), dtype=float)
    drawn = np.asarray(large().draw(post.site, post.post_id, photo.position).image, dtype=float)
    assert np.abs(upright - drawn).mean() < 12


@pytest.mark.parametrize("fault", flaws.FAULTS)
def test_photo__broken_ones_are_broken_as_the_truth_says(fault: str) -> None:
    post, photo = next((p, f) for p in all_posts(large()) for f in p.photos if f.fault == fault and not p.copy)
    data = large().photo(post.site, post.post_id, photo.position)
    if fault == "empty":
        assert data == b""
    elif fault == "html":
        assert data.startswith(b"<!doctype html>")
    elif fault == "bomb":
        assert len(data) < 100_000
        with pytest.raises(Image.DecompressionBombError):
            Image.open(io.BytesIO(data))
    else:
        with pytest.raises(OSError, match="truncated"):
            Image.open(io.BytesIO(data)).load()


def test_photo__unknown_ids_raise() -> None:
    with pytest.raises(KeyError):
        small().photo("kream", 10**6, 0)
    with pytest.raises(KeyError, match="photo 9"):
        small().photo("kream", 1, 9)


def test_repost__shows_the_original_with_its_boxes_moved_along() -> None:
    rows = truth()["duplicates"]
    assert {row["kind"] for row in rows} <= set(flaws.COPY_KINDS)
    row = rows[0]
    copy = opened(small().photo(row["site"], row["post_id"], row["position"])).convert("L").resize((16, 16))
    source = small().draw(row["original_site"], row["original_post_id"], row["original_position"])
    original = source.image.convert("L").resize((16, 16))
    assert np.corrcoef(np.asarray(copy).ravel(), np.asarray(original).ravel())[0, 1] > 0.8
    copied = small().draw(row["site"], row["post_id"], row["position"]).boxes
    assert {b.product_id for b in copied} <= {b.product_id for b in source.boxes}


def test_copied__scales_boxes_with_the_picture() -> None:
    site, post_id = whole_photo(small())
    source = small().draw(site, post_id, 0)
    copy = encoding.copied(source, "resize", np.random.default_rng(0))
    scale = copy.image.width / source.image.width
    assert scale < 1
    assert copy.boxes[0].box == pytest.approx([v * scale for v in source.boxes[0].box], abs=1.5)


def test_thumbnail__formats_and_sizes_are_a_shops() -> None:
    world = small()
    served = [p for p in world.products if world.has_thumbnail("kream", p) and not world.thumbnail_fault("kream", p)]
    images = [Image.open(io.BytesIO(world.thumbnail("kream", p))) for p in served[:90]]
    kinds = Counter(image.format for image in images)
    assert set(kinds) == {"JPEG", "PNG", "WEBP"}
    assert all(image.mode == "RGBA" and image.getpixel((0, 0))[3] == 0 for image in images if image.format == "PNG")
    assert all(110 <= min(image.size) <= 561 for image in images)


def test_thumbnail__onthelook_serves_its_own_copy() -> None:
    world = small()
    product_id = next(
        p
        for p in world.products
        if all(world.has_thumbnail(site, p) and not world.thumbnail_fault(site, p) for site in SITES)
    )
    kream, onthelook = (world.thumbnail(site, product_id) for site in SITES)
    assert kream != onthelook
    assert Image.open(io.BytesIO(onthelook)).format == "JPEG"
    assert opened(world.thumbnail("kream", product_id, width=64)).width == 64


def test_thumbnail__missing_ones_raise_and_are_in_the_truth() -> None:
    missing = [row for row in truth()["broken"] if row["role"] == "thumbnail" and row["fault"] == "missing"]
    assert missing
    for row in missing:
        assert not small().has_thumbnail(row["site"], row["product_id"])
        with pytest.raises(KeyError, match="no thumbnail"):
            small().thumbnail(row["site"], row["product_id"])


def test_thumbnail__small_ones_are_as_the_truth_says() -> None:
    world = small()
    faults = {(row["site"], row["product_id"]): row["fault"] for row in truth()["broken"] if row["role"] == "thumbnail"}
    assert "small" in faults.values()
    for site in SITES:
        for product in list(world.products)[:60]:
            if faults.get((site, product), "small") == "small":
                side = min(opened(world.thumbnail(site, product)).size)
                assert world.thumbnail_side(site, product) == side
                assert (side < LEAST_SIDE) == ((site, product) in faults)


def test_has_thumbnail__unknown_product_raises() -> None:
    with pytest.raises(KeyError, match="no product"):
        small().has_thumbnail("kream", -1)


def test_truth__tags_say_which_product_is_worn() -> None:
    world = small()
    rows = truth()["tags"]
    assert rows
    for row in rows:
        tag = world.posts[row["site"]][row["post_id"]].tags[row["position"]]
        assert tag.product_id == row["product_id"]
        assert row["right"] == (row["product_id"] == row["worn_product_id"])
        if not tag.right:
            assert row["worn_product_id"] not in (None, row["product_id"])


def test_site_product_id__is_unique_on_each_site() -> None:
    for site in SITES:
        ids = {large().site_product_id(site, p) for p in large().products}
        assert len(ids) == len(large().products)
    some = next(iter(large().products))
    assert large().site_product_id("kream", some) == str(some)
