"""Pictures of products with the shop's category, and on which side of a split a name is. Plain Python, no torch."""

import csv
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from PIL import Image

from curation.images import try_decode
from curation.tables import ShardedTable
from models.errors import DataError

_COLUMNS: Final = ("product_id", "category", "bytes", "sha256")
_LABELS_FILE: Final = "labels.csv"


def place_of(key: str) -> float:
    """A number in [0, 1) that depends on a product's id or a photo's name alone, whatever other data there is."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest()) / 2**48


def labelled_pictures(
    source: Path, wanted: Callable[[str], bool] = lambda _: True
) -> Iterator[tuple[str, str, Image.Image, str]]:
    """Product, category, picture and its sha256, of each readable thumbnail of a catalog table or labelled folder.

    Pictures of products that are not `wanted` are not decoded. Why one is not readable, the crawl's table says.

    Raises:
        DataError: `source` is neither.
    """
    rows = _folder_rows(source) if (source / _LABELS_FILE).is_file() else _catalog_rows(source)
    for product, category, data, sha256 in rows:
        image = try_decode(data) if wanted(product) else None
        if image is not None:
            yield product, category, image, sha256


def _catalog_rows(root: Path) -> Iterator[tuple[str, str, bytes | None, str]]:
    for shard in ShardedTable(root).shards:
        if missing := set(_COLUMNS) - set(shard.schema.names):
            raise DataError(f"{root} is no catalog table: {shard.name} has no column {', '.join(sorted(missing))}")
        for batch in shard.batches(_COLUMNS):
            for row in batch.to_pylist():
                yield row["product_id"], row["category"], row["bytes"], row["sha256"]


def _folder_rows(root: Path) -> Iterator[tuple[str, str, bytes | None, str]]:
    with (root / _LABELS_FILE).open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark at its start
        reader = csv.DictReader(file)
        if missing := {"image", "category"} - set(reader.fieldnames or ()):
            raise DataError(f"{root / _LABELS_FILE}: missing columns {sorted(missing)}")
        for row in reader:
            data = (root / row["image"]).read_bytes()
            yield row.get("group") or row["image"], row["category"], data, hashlib.sha256(data).hexdigest()
