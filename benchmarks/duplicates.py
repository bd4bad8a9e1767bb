"""Are the right pictures called one? Against the truth of drawn worlds, and on real photos where a folder of them is.

Drawn: every usable photo and thumbnail of a world, broken ones left out. True pairs are a repost's photo and its
original, and one product's thumbnails on both sites. Found pairs are those within one cluster. `FASHION_REAL_DATA` (or
`--real`) names a folder with `near_duplicates/` and `shop/`: listed pairs of photos, and a shop whose colourways are
digital recolours of one photo.
"""

import argparse
import csv
import hashlib
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from curation.dedup import DuplicateIndex
from curation.errors import ImageError
from curation.hashing import Mode, describe_bytes
from curation.schemas import HASHES
from curation.tables import rows_to_batch, write_shard
from sandbox.posts import Post
from sandbox.world import World

Row = dict[str, Any]
Pair = frozenset[str]


def main() -> None:
    """Measure every seed in the given mode, then the real photos; print tables, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.duplicates", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[301, 302])
    parser.add_argument("--posts", type=int, default=1000, help="of each world")
    parser.add_argument("--mode", choices=list(Mode), default=Mode.EXACT)
    parser.add_argument("--real", type=Path, default=os.environ.get("FASHION_REAL_DATA"))
    options = parser.parse_args()
    mode = Mode(options.mode)
    figures: dict[str, float] = {}
    print(f"{'seed':<8}{'role':<10}{'pictures':>9}{'true pairs':>12}{'precision':>11}{'recall':>9}{'mixed up':>10}")
    for seed in options.seeds:
        figures |= _drawn(seed, options.posts, mode)
    if options.real:
        figures |= _listed(options.real / "near_duplicates", mode) | _recolours(options.real / "shop", mode)
    print(json.dumps(figures))


def _drawn(seed: int, posts: int, mode: Mode) -> dict[str, float]:
    pictures = list(_pictures(World(seed, posts)))
    verdicts = _verdicts([row for row, _, _ in pictures], mode)
    figures: dict[str, float] = {}
    for role in ("photo", "product"):
        names: dict[str, set[object]] = defaultdict(set)  # what each picture truly shows
        for row, truth, _ in pictures:
            if (row["role"] == "photo") == (role == "photo"):
                names[row["sha256"]].add(truth)
        shown: dict[object, set[str]] = defaultdict(set)
        for sha256, truths in names.items():
            for truth in truths:
                shown[truth].add(sha256)
        true = {frozenset(pair) for shas in shown.values() for pair in combinations(sorted(shas), 2)}
        if not true:
            raise SystemExit(f"--posts: in {posts} no {role} comes twice, so there is nothing to find")
        found = _pairs({key: row for key, row in verdicts.items() if key in names and row["role"] == role})
        right = len(found & true)
        precision, recall = right / max(1, len(found)), right / len(true)
        print(
            f"{seed:<8}{role:<10}{len(names):>9}{len(true):>12}{precision:>11.4f}{recall:>9.4f}{len(found - true):>10}"
        )
        figures |= {f"{role}_precision_{seed}": round(precision, 4), f"{role}_recall_{seed}": round(recall, 4)}
        if role == "product":
            figures[f"colourways_merged_{seed}"] = len(found - true)
    originals = {row["sha256"] for row, _, original in pictures if original}
    for role in ("photo", "product"):
        copies = [row for row in verdicts.values() if row["evidence"] == "near_duplicate" and row["role"] == role]
        kept = sum(row["cluster_id"] in originals for row in copies) / max(1, len(copies))
        figures[f"{role}_original_kept_{seed}"] = round(kept, 4)
    return figures


def _pictures(world: World) -> Iterator[tuple[Row, object, bool]]:
    """Rows with their bytes, what each picture truly shows, and whether it is the original of that."""
    for site, posts in world.posts.items():
        for post in posts.values():
            source = _source(world, post)
            for photo in [] if post.gone else post.photos:
                if photo.fault is None:
                    data = world.photo(site, post.post_id, photo.position)
                    row = {"role": "photo", "post_id": post.post_id, "position": photo.position}
                    row |= {"posted_at": post.posted_at}
                    yield _row(data, site=site, **row), (*source, photo.position), post.copy is None
        for number in world.products:
            if world.has_thumbnail(site, number) and not world.thumbnail_fault(site, number):
                row = {"role": "catalog" if site == "kream" else "product", "product_id": str(number)}
                yield _row(world.thumbnail(site, number), site=site, **row), number, site == "kream"


def _source(world: World, post: Post) -> tuple[str, int]:
    """The post whose photos these are, which may have been copied more than once."""
    while post.copy:
        post = world.posts[post.copy.site][post.copy.post_id]
    return post.site, post.post_id


def _row(data: bytes, **values: Any) -> Row:
    return dict.fromkeys(HASHES.names) | values | {"bytes": data, "sha256": hashlib.sha256(data).hexdigest()}


def _verdicts(rows: Iterable[Row], mode: Mode) -> dict[str, Row]:
    """CLUSTERS rows by sha256."""
    with tempfile.TemporaryDirectory(prefix="fashion-duplicates-") as folder:
        hashed = [row | describe_bytes(row["bytes"], mode) for row in rows]
        batch = rows_to_batch([{name: row[name] for name in HASHES.names} for row in hashed], HASHES)
        write_shard(Path(folder) / "image_hashes", "all", HASHES, [batch], fingerprint="all")
        return {row["sha256"]: row for row in DuplicateIndex(Path(folder)).update().table.table().to_pylist()}


def _pairs(verdicts: dict[str, Row]) -> set[Pair]:
    members: dict[str, list[str]] = defaultdict(list)
    for sha256, row in verdicts.items():
        members[row["cluster_id"]].append(sha256)
    return {frozenset(pair) for group in members.values() for pair in combinations(group, 2)}


def _listed(folder: Path, mode: Mode) -> dict[str, float]:
    """Listed pairs, of photos, that are found; by kind."""
    rows: dict[str, Row] = {}
    for file in sorted((folder / "images").iterdir()):
        row = _row(file.read_bytes(), role="photo", site="real")
        try:
            describe_bytes(row["bytes"], mode)
        except ImageError as error:
            print(f"{file.name}: {error.reason}")
        else:
            rows[f"images/{file.name}"] = row
    found = _pairs(_verdicts(rows.values(), mode))
    kinds: dict[str, list[bool]] = defaultdict(list)
    listed = set()
    for line in csv.DictReader((folder / "pairs.csv").read_text().splitlines()):
        pair = frozenset(rows[line[side]]["sha256"] for side in ("a", "b"))
        listed.add(pair)
        kinds[line["kind"]].append(pair in found)
    for kind, answers in kinds.items():
        print(f"near_duplicates: {kind:<24}{sum(answers)} of {len(answers)} found")
    print(f"near_duplicates: {len(found - listed)} pairs that are not listed")
    same = kinds["same_photo_duplicate"]
    return {"near_duplicates_found": sum(same) / len(same), "near_duplicates_wrong": len(found - listed)}


def _recolours(folder: Path, mode: Mode) -> dict[str, float]:
    """Colourways of one product that were called one picture."""
    names: dict[str, list[Row]] = defaultdict(list)
    rows = []
    for line in csv.DictReader((folder / "images.csv").read_text().splitlines()):
        row = _row((folder / line["image"]).read_bytes(), role="product", site="real", product_id=line["sku"])
        rows.append(row)
        names[row["sha256"]].append(line)
    merged = 0
    for pair in _pairs(_verdicts(rows, mode)):
        a, b = (names[sha256][0] for sha256 in pair)
        merged += a["color"] != b["color"]
        print(f"shop: {a['image']} and {b['image']} are called one")
    return {"real_colourways_merged": merged}


if __name__ == "__main__":
    main()
