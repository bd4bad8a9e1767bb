"""Pairs with known truth for benchmarks of training.

Of a drawn world: crops by true boxes, moved a little as a detector's would be. Of real studio photos: what a shop shows
of the same item.
"""

import csv
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from curation.images import decode, encode_jpeg
from curation.schemas import CATALOG, PAIRS
from curation.splits import SplitShares, assign_splits
from curation.tables import ShardedTable, rows_to_batch, write_shard
from curation.taxonomy import CATEGORIES, LABELS, SPLITS, Split
from models.boxes import cut
from sandbox.posts import SITES, Post
from sandbox.world import World

_BOX_ERROR: Final = 0.06
"""Standard deviation of each side of a box, share of its length: about what the demo's detector makes."""
_LEAST_SIDE: Final = 16.0  # px of a crop
_VALIDATED: Final = 8  # one style in so many of those that are not tested
_WHEN: Final = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


def draw_pairs(seed: int, posts: int, out: Path) -> tuple[Path, ShardedTable]:
    """Write the pairs of a drawn world that a flawless pipeline would make, split, and its catalog.

    Returns:
        The folder of the pair dataset, and the catalog table.
    """
    world = World(seed, posts)
    thumbnails = usable_thumbnails(world)
    rows = [row for post in _posts(world) for row in _pairs(world, post, thumbnails)]
    keys = [[f"post:{row['site']}/{row['post_id']}", f"product:{row['product_id']}"] for row in rows]
    splits = assign_splits(keys, SplitShares(), categories=[row["category"] for row in rows])
    for name in SPLITS:
        own = [{**row, "split": name} for row, split in zip(rows, splits, strict=True) if split == name]
        write_shard(out / "pairs", f"{name}-00000", PAIRS, [rows_to_batch(own, PAIRS)], fingerprint=f"{seed}/{posts}")
    return out / "pairs", write_catalog(world, thumbnails, out / "catalog")


def shop_folds(root: Path, folds: int, out: Path) -> list[tuple[Path, ShardedTable]]:
    """Write the pairs of a folder of studio photos, once for each fold, and the catalog of all its main shots.

    A style is tested in one fold, in all its colours: they are one photo, coloured anew. A photo whose main shot has
    another colour makes no pair, as a wrong tag makes none; that shot is in the catalog like all others.

    Args:
        root: has `pairs.csv` and `images.csv`, as docs/PHOTOS.md says.
        folds: at least 2.
        out: folder to write to.
    """
    images = {row["image"]: row for row in _read_csv(root / "images.csv")}
    shots = [row for row in images.values() if row["view"] == "main"]
    catalog = out / "catalog"
    rows = [_catalog_row(row["image"], row["category"], (root / row["image"]).read_bytes()) for row in shots]
    _write_by_category(rows, catalog, str(root))
    written = []
    for fold in range(folds):
        parts: dict[str, list[Row]] = {name: [] for name in SPLITS}
        for number, pair in enumerate(_read_csv(root / "pairs.csv")):
            if pair["category"] not in CATEGORIES or pair["same_colour"] == "0":
                continue
            split = _split(images[pair["positive"]]["sku"], fold, folds)
            crop, thumbnail = ((root / pair[side]).read_bytes() for side in ("anchor", "positive"))
            known = {"site": "kream", "post_id": number, "category": pair["category"], "photo_position": 0}
            parts[split].append({**_row(pair["positive"], crop, thumbnail, known), "split": split})
        folder = out / f"fold-{fold}"
        for name, own in parts.items():
            write_shard(folder, f"{name}-00000", PAIRS, [rows_to_batch(own, PAIRS)], fingerprint=f"{root}/{fold}")
        written.append((folder, ShardedTable(catalog, "kream")))
    return written


def _split(style: str, fold: int, folds: int) -> Split:
    place = zlib.crc32(style.encode())
    if place % folds == fold:
        return "test"
    return "validation" if place // folds % _VALIDATED == 0 else "train"


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def usable_thumbnails(world: World) -> dict[int, bytes]:
    """Product → thumbnail, of products that have one without a fault."""
    return {
        product: world.thumbnail("kream", product)
        for product in world.products
        if world.has_thumbnail("kream", product) and not world.thumbnail_fault("kream", product)
    }


def _posts(world: World) -> Iterator[Post]:
    for posts in world.posts.values():
        yield from (post for post in posts.values() if not (post.gone or post.ai_made or post.copy))


def _pairs(world: World, post: Post, thumbnails: dict[int, bytes]) -> Iterator[Row]:
    rng = np.random.default_rng([world.seed, post.post_id, SITES.index(post.site)])
    tagged = {tag.product_id for tag in post.tags} & thumbnails.keys()
    for photo in (photo for photo in post.photos if not photo.fault):
        drawn = world.draw(post.site, post.post_id, photo.position)
        for box in drawn.boxes:
            if box.product_id is None or box.product_id not in tagged:
                continue
            x0, y0, x1, y1 = box.box
            sides = np.array([x1 - x0, y1 - y0] * 2) * _BOX_ERROR
            moved = np.array(box.box) + rng.normal(size=4) * sides
            moved = moved.clip(0, [photo.width, photo.height] * 2)
            if min(moved[2] - moved[0], moved[3] - moved[1]) < _LEAST_SIDE:
                continue
            crop = encode_jpeg(cut(drawn.image, tuple(moved.tolist())))
            known = {"photo_position": photo.position, "box": moved.tolist(), "category": box.category}
            known |= {"site": post.site, "post_id": post.post_id}
            yield _row(str(box.product_id), crop, thumbnails[box.product_id], known)


def _row(product: str, crop: bytes, thumbnail: bytes, known: Row) -> Row:
    return {
        **dict.fromkeys(PAIRS.names),
        **known,
        "anchor": {"bytes": crop, "path": None},
        "positive": {"bytes": thumbnail, "path": None},
        "post_url": "",
        "product_id": product,
        "product_url": "",
        "product_cluster_id": product,
        "photo_cluster_id": f"{known['site']}/{known['post_id']}/{known['photo_position']}",
        "product_position": 0,
        "detector_score": 1.0,
        "classifier_probability": 1.0,
        "verification_score": 1.0,
        "anchor_sha256": hashlib.sha256(crop).hexdigest(),
        "positive_sha256": hashlib.sha256(thumbnail).hexdigest(),
        "anchor_phash": 0,
        "positive_phash": 0,
        "detector_version": "",
        "classifier_version": "",
        "crawled_at": _WHEN,
    }


def write_catalog(world: World, thumbnails: dict[int, bytes], out: Path) -> ShardedTable:
    """Write the catalog of a world, `etc` included."""
    rows = []
    for number, data in thumbnails.items():
        product = world.products[number]
        told = {"product_name": product.name, "brand": product.brand, "price": product.price}
        told["shop_category_id"] = product.shop_category_id
        rows.append(_catalog_row(str(number), product.category, data) | told)
    _write_by_category(rows, out, str(world.seed))
    return ShardedTable(out)


def _catalog_row(product: str, category: str, thumbnail: bytes) -> Row:
    image = decode(thumbnail)
    return dict.fromkeys(CATALOG.names) | {
        "site": "kream",
        "product_id": product,
        "product_name": product,
        "brand": "",
        "price": 0,
        "product_url": "",
        "shop_category_id": 0,
        "category": category,
        "image_url": "",
        "bytes": thumbnail,
        "format": "JPEG",
        "width": image.width,
        "height": image.height,
        "has_alpha": False,
        "sha256": hashlib.sha256(thumbnail).hexdigest(),
        "crawled_at": _WHEN,
    }


def _write_by_category(rows: Iterable[Row], out: Path, fingerprint: str) -> None:
    shards: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        shards[row["category"]].append(row)
    for name in LABELS:
        write_shard(out, f"kream/{name}", CATALOG, [rows_to_batch(shards[name], CATALOG)], fingerprint=fingerprint)
