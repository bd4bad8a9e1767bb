"""The ground truth of a world as Arrow tables. Boxes are xyxy pixels of the upright photo at its served size."""

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from sandbox.posts import KREAM, ONTHELOOK, SITES, Post

if TYPE_CHECKING:
    from sandbox.world import World

LEAST_SIDE: Final = 200  # px: smaller thumbnails are of no use
_AT: Final = [("site", pa.string()), ("post_id", pa.int64())]
_PHOTO: Final = [*_AT, ("position", pa.int32())]

SCHEMAS: Final[dict[str, pa.Schema]] = {
    "posts": pa.schema(
        [
            *_AT,
            ("gone", pa.bool_()),
            ("ai_made", pa.bool_()),
            ("repost_of_site", pa.string()),  # null unless the post is a repost
            ("repost_of", pa.int64()),
        ]
    ),
    "tags": pa.schema(
        [
            *_PHOTO,  # position of the tag on the page
            ("product_id", pa.int64()),
            ("category", pa.string()),
            ("worn_product_id", pa.int64()),  # null when the person wears nothing of the class
            ("right", pa.bool_()),  # the person wears this very product
        ]
    ),
    "boxes": pa.schema(
        [
            *_PHOTO,
            ("person", pa.string()),  # "main" or "bystander"
            ("category", pa.string()),
            ("product_id", pa.int64()),  # null for bystanders
            ("box", pa.list_(pa.float32(), 4)),
            ("visible", pa.float32()),  # part of the garment that the photo shows, 0 to 1
        ]
    ),
    "products": pa.schema(
        [
            ("product_id", pa.int64()),  # KREAM's, and the world's own
            ("kream_id", pa.string()),
            ("onthelook_id", pa.string()),
            ("category", pa.string()),
            ("family", pa.int64()),
        ]
    ),
    "duplicates": pa.schema(
        [
            *_PHOTO,
            ("original_site", pa.string()),
            ("original_post_id", pa.int64()),
            ("original_position", pa.int32()),
            ("kind", pa.string()),
        ]
    ),
    "broken": pa.schema(
        [
            ("site", pa.string()),
            ("role", pa.string()),  # "photo" or "thumbnail"
            ("post_id", pa.int64()),  # null for thumbnails
            ("product_id", pa.int64()),  # null for photos
            ("position", pa.int32()),
            ("fault", pa.string()),  # of `flaws.FAULTS`, "missing", or "small" (see `LEAST_SIDE`)
        ]
    ),
}
"""The tables by name."""

Row = dict[str, Any]


def tables(world: "World") -> dict[str, pa.Table]:
    """Return all truth tables of a world. Draws every photo, so it takes about as long as serving them once."""
    posts = [post for site in SITES for post in world.posts[site].values()]
    rows: dict[str, list[Row]] = {
        "posts": [_post(post) for post in posts],
        "tags": [row for post in posts for row in _tags(world, post)],
        "boxes": [row for post in posts if not post.gone for row in _boxes(world, post)],
        "products": [_product(world, product_id) for product_id in world.products],
        "duplicates": [row for post in posts for row in _duplicates(post)],
        "broken": [row for post in posts for row in _broken_photos(post)] + _broken_thumbnails(world),
    }
    return {name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in SCHEMAS.items()}


def _at(post: Post, position: int) -> Row:
    return {"site": post.site, "post_id": post.post_id, "position": position}


def _post(post: Post) -> Row:
    return {
        "site": post.site,
        "post_id": post.post_id,
        "gone": post.gone,
        "ai_made": post.ai_made,
        "repost_of_site": post.copy.site if post.copy else None,
        "repost_of": post.copy.post_id if post.copy else None,
    }


def _tags(world: "World", post: Post) -> list[Row]:
    worn = {world.products[i].category: i for i in post.worn}
    rows = []
    for tag in post.tags:
        category = world.products[tag.product_id].category
        answer = {"product_id": tag.product_id, "category": category, "worn_product_id": worn.get(category)}
        rows.append(_at(post, tag.position) | answer | {"right": worn.get(category) == tag.product_id})
    return rows


def _boxes(world: "World", post: Post) -> list[Row]:
    return [
        _at(post, photo.position)
        | {
            "person": "main" if box.product_id is not None else "bystander",
            "category": box.category,
            "product_id": box.product_id,
            "box": list(box.box),
            "visible": box.visible,
        }
        for photo in post.photos
        for box in world.draw(post.site, post.post_id, photo.position, boxes_only=True).boxes
    ]


def _product(world: "World", product_id: int) -> Row:
    product = world.products[product_id]
    return {
        "product_id": product_id,
        "kream_id": world.site_product_id(KREAM, product_id),
        "onthelook_id": world.site_product_id(ONTHELOOK, product_id),
        "category": product.category,
        "family": product.family,
    }


def _duplicates(post: Post) -> list[Row]:
    copy = post.copy
    if copy is None:
        return []
    origin = {"original_site": copy.site, "original_post_id": copy.post_id, "kind": copy.kind}
    return [_at(post, p.position) | origin | {"original_position": p.position} for p in post.photos]


def _broken_photos(post: Post) -> list[Row]:
    return [_at(post, p.position) | {"role": "photo", "fault": p.fault} for p in post.photos if p.fault]


def _broken_thumbnails(world: "World") -> list[Row]:
    rows = []
    for site in SITES:
        for product_id in world.products:
            fault = "missing"
            if world.has_thumbnail(site, product_id):
                small = "small" if world.thumbnail_side(site, product_id) < LEAST_SIDE else ""
                fault = world.thumbnail_fault(site, product_id) or small
            if fault:
                rows.append({"site": site, "role": "thumbnail", "product_id": product_id, "fault": fault})
    return rows
