"""`fashion-anchor-cloth-pairs` (Kaggle): pairs of a worn garment and a picture of it alone, as a pair dataset.

The archive holds `<kind>_dataset/<kind>_dataset/[men_<kind>|women_<kind>/]`, and there a folder `cloths` beside the
folder of anchors. Public code names `cloths` alone, so the other one is taken whatever it is called. A pair is two
files of one name; where the folders share no name, two files whose names end in the same number.

What the set does not say stays unknown: no box, no score, no model's version, no address of a post or product. Anchors
are the maker's pictures as they are, not cut out by a detector. A cloth picture that comes again is one product, an
anchor that comes again one photo, by their bytes.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from curation.dataset import write_pair_dataset
from curation.dataset_plan import DatasetRules
from curation.engine import KEPT
from curation.errors import CurationError, ImageError
from curation.images import inspect
from curation.places import read_manifest
from curation.schemas import CANDIDATES
from curation.sources import Source
from curation.tables import ShardedTable, fingerprint, rows_to_batch, write_shard
from curation.taxonomy import Category
from curation.versions import Versions

SITE: Final = "anchor-cloth"
TERMS: Final = Source(
    "unknown: the set names no licence of the shop's pictures that it holds; not for commercial use",
    commercial=False,
    url="https://www.kaggle.com/datasets/kritanjalijain/fashion-anchor-cloth-pairs",
)
KINDS: Final[dict[str, Category]] = {
    "bags": "bag",
    "dress": "dress",
    "pants": "bottom",
    "shorts": "bottom",
    "upperwear": "top",
}
"""The set's kinds of garments → ours. Upper wear may be outerwear too: the set's folders call all of it tops."""

_CLOTHS: Final = "cloths"
_PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp")
_ROWS_AT_ONCE: Final = 64
_LAST_NUMBER: Final = re.compile(r"(\d+)\D*$")

Files = tuple[Path, Path]


def import_anchor_cloth(folder: Path, out: Path) -> dict[str, Any]:
    """Publish the set as a pair dataset, `out/pair_dataset`, which the encoder learns from like any other.

    Args:
        folder: of the unpacked archive.
        out: data folder of its own; a second call with other files publishes the next version.

    Returns:
        `version` and `rows` of the dataset, and `left_out`: pictures that are in no pair, by reason.

    Raises:
        CurationError: there are no cloths, what lies beside them cannot be paired with them, or the data folder has a
            dataset of another site, whose splits the next run would draw anew.
    """
    _refuse_another_site(out / "pair_dataset")
    table = out / "pairs" / "anchor_cloth"
    left_out: Counter[str] = Counter()
    for cloths in sorted(path for path in folder.rglob(_CLOTHS) if path.is_dir()):
        pairs = _pairs(cloths, left_out)
        counts: Counter[str] = Counter()
        name = cloths.parent.relative_to(folder).as_posix()
        key = fingerprint([[str(path.relative_to(folder)), path.stat().st_size] for pair in pairs for path in pair])
        rows = _rows(folder, _category(cloths, folder), pairs, counts)
        write_shard(table, f"{SITE}/{name}", CANDIDATES, _batches(rows), fingerprint=key, counts=counts)
        left_out.update({reason: count for reason, count in counts.items() if reason != KEPT})
    if not table.is_dir():
        raise CurationError(f"{folder} has no folder {_CLOTHS} with pictures: is it the unpacked archive?")
    manifest = write_pair_dataset(ShardedTable(table), out / "pair_dataset", DatasetRules(sources={SITE: TERMS}))
    return {"version": manifest["version"], "rows": manifest["rows"], "left_out": dict(left_out)}


def _refuse_another_site(link: Path) -> None:
    used = Versions(link).current
    others = set(read_manifest(used)["rows_per_source"]) - {SITE} if used else set()
    if others:
        raise CurationError(f"{link}: holds pairs of {', '.join(sorted(others))}; give --data a folder of its own")


def _pairs(cloths: Path, left_out: Counter[str]) -> list[Files]:
    """(anchor, cloth) files of one folder. Raises `CurationError` where it is not plain which belong together."""
    others = [path for path in cloths.parent.iterdir() if path.is_dir() and path != cloths and _pictures(path)]
    if len(others) != 1:
        names = ", ".join(sorted(path.name for path in others)) or "none"
        raise CurationError(f"{cloths}: beside it must be one folder of anchors, found {names}")
    for key in (_name, _number):
        anchors, garments = _keyed(_pictures(others[0]), key), _keyed(_pictures(cloths), key)
        shared = sorted(anchors.keys() & garments.keys())
        if shared:
            left_out.update({"unpaired": alone} if (alone := len(anchors.keys() ^ garments.keys())) else {})
            return [(anchors[name], garments[name]) for name in shared]
    raise CurationError(f"{others[0]} and {cloths}: no two files share a name or a number")


def _keyed(files: Sequence[Path], key: Any) -> dict[str, Path]:
    found = {key(path): path for path in files}
    if len(found) < len(files):
        raise CurationError(f"{files[0].parent}: {len(files)} files, but only {len(found)} different names or numbers")
    return found


def _name(path: Path) -> str:
    return path.stem


def _number(path: Path) -> str:
    """The last number of a file's name; without one, the name."""
    found = _LAST_NUMBER.search(path.stem)
    return str(int(found[1])) if found else path.stem


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)


def _category(cloths: Path, folder: Path) -> Category:
    for part in cloths.relative_to(folder).parts:
        if (kind := part.removesuffix("_dataset")) in KINDS:
            return KINDS[kind]
    raise CurationError(f"{cloths}: no folder above it is named after one of {', '.join(KINDS)}")


def _rows(folder: Path, category: Category, pairs: Sequence[Files], counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """Rows of CANDIDATES, all of them kept; pairs with a broken picture are counted instead."""
    for anchor, cloth in pairs:
        pictures = anchor.read_bytes(), cloth.read_bytes()
        try:
            anchor_sha256, cloth_sha256 = (inspect(data).sha256 for data in pictures)
        except ImageError as error:
            counts[error.reason] += 1
            continue
        counts[KEPT] += 1
        name = cloth.relative_to(folder).with_suffix("").as_posix()
        yield {
            **dict.fromkeys(CANDIDATES.names),
            "site": SITE,
            "post_id": _id(anchor.relative_to(folder).as_posix()),
            "post_url": "",
            "product_id": name,
            "product_cluster_id": cloth_sha256,
            "photo_cluster_id": anchor_sha256,
            "category": category,
            "photo_position": 0,
            "product_position": 0,
            "anchor_sha256": anchor_sha256,
            "crop_sha256": anchor_sha256,
            "positive_sha256": cloth_sha256,
            "detector_version": "",
            "classifier_version": "",
            "crawled_at": datetime.fromtimestamp(cloth.stat().st_mtime, UTC),
            "kept": True,
            "anchor_bytes": pictures[0],
            "positive_bytes": pictures[1],
        }


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield rows_to_batch(some, CANDIDATES)


def _id(name: str) -> int:
    """A number for what has none: 63 bits of a digest."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1
