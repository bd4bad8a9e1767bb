"""Example photos: test-split posts that nobody trained on, for the search page and the report."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curation.crawled import pictures_by_sha
from curation.images import decode, encode_jpeg
from curation.tables import ShardedTable
from search.report import ReportQuery

_SIDE = 1024  # px: enough for a page, small enough to load


def example_queries(dataset: Path, posts: ShardedTable, count: int, seed: int = 0) -> list[ReportQuery]:
    """Photos of test pairs with the most tagged products first, one per post, in an order drawn from `seed`.

    A photo that is gone, as after a return to an older dataset, is left out.

    Args:
        dataset: pair dataset.
        posts: POSTS shards that hold the photos.
        count: how many at most.
        seed: of the choice among photos that are equally good.
    """
    wanted = _best_photos(dataset, count, seed)
    photos = pictures_by_sha(posts, wanted)
    return [
        ReportQuery(photos[sha], f"{rows[0]['site']} post {rows[0]['post_id']}", frozenset(_ids(rows)))
        for sha, rows in wanted.items()
        if sha in photos
    ]


def write_examples(queries: Sequence[ReportQuery], folder: Path) -> None:
    """Write the photos as upright JPEGs `0.jpg`, `1.jpg`, … in place of what the folder held."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    for number, query in enumerate(queries):
        image = decode(query.photo)
        image.thumbnail((_SIDE, _SIDE))
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(image))


def _best_photos(dataset: Path, count: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    columns = ["site", "post_id", "anchor_sha256", "product_id"]
    by_photo: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(dataset.glob("test-*.parquet")):
        for row in pq.read_table(path, columns=columns).to_pylist():
            by_photo[row["anchor_sha256"]].append(row)
    names = sorted(by_photo)
    random.Random(seed).shuffle(names)
    names.sort(key=lambda sha: -len(by_photo[sha]))
    posts: dict[tuple[str, int], str] = {}
    for sha in names:
        posts.setdefault((by_photo[sha][0]["site"], by_photo[sha][0]["post_id"]), sha)
    return {sha: by_photo[sha] for sha in list(posts.values())[:count]}


def _ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ids of the index for what was tagged. Other sites' products have another id there: they get no frame."""
    return [f"kream-{row['product_id']}" for row in rows if row["site"] == "kream"]
