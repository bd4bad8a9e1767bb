"""Rows of the pair dataset: what tells one from another, their form on disk, and reading them back."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from curation.errors import ImageError
from curation.images import decode
from curation.schemas import PAIRS
from curation.tables import Shard, conform

PICTURES: Final = ("anchor", "positive")
FACTS: Final = tuple(name for name in PAIRS.names if name not in PICTURES)
"""Columns of PAIRS but the pictures: small enough to be held for every row at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pair:
    """One row with its pictures."""

    facts: Mapping[str, Any]
    anchor: Image.Image
    positive: Image.Image


def product_of(row: Mapping[str, Any]) -> str | None:
    """Name of the product of a pair: its near-duplicate cluster, else the site's own id; None without both."""
    if row["product_cluster_id"] is not None:
        return str(row["product_cluster_id"])
    return None if row["product_id"] is None else f"{row['site']}/{row['product_id']}"


def pair_keys(facts: pa.Table) -> list[str]:
    """Name of each pair, the same in every version: post, photo and tagged product."""
    names = ("site", "post_id", "photo_position", "product_position")
    return [str(key) for key in _joined(facts, names).to_pylist()]


def row_digests(facts: pa.Table) -> list[str]:
    """Digest of each row. Rows with equal digests are equal, pictures too: their sha256 are among the facts."""
    flat = facts.drop_columns(["box"])
    for side in range(4):
        flat = flat.append_column(f"box{side}", pc.list_element(facts["box"], side))
    texts = _joined(flat, (*(name for name in FACTS if name != "box"), "box0", "box1", "box2", "box3"))
    return [hashlib.blake2b(text.encode(), digest_size=12).hexdigest() for text in texts.to_pylist()]


def read_facts(shard: Shard) -> pa.Table:
    """The columns `FACTS` of a shard; what an older release did not write is null."""
    there = set(shard.schema.names)
    table = shard.table([name for name in FACTS if name in there])
    for name in FACTS:
        if name not in there:
            table = table.append_column(name, pa.nulls(len(table), PAIRS.field(name).type))
    return table.select(FACTS)


def as_pairs(facts: pa.Table, anchors: pa.Array, positives: pa.Array) -> pa.Table:
    """Facts and the encoded pictures of the same rows as a table of schema PAIRS."""
    for name, data in zip(PICTURES, (anchors, positives), strict=True):
        parts = [data.cast(pa.binary()), pa.nulls(len(data), pa.string())]
        facts = facts.append_column(name, pa.StructArray.from_arrays(parts, names=["bytes", "path"]))
    return conform(facts.select(PAIRS.names), PAIRS, "pairs")


def read_pairs(folder: Path, wanted: Callable[[pa.Table], pa.Array] | None = None) -> Iterator[Pair]:
    """Every pair of a version that can be read, in order; what cannot be is passed over with a warning.

    Args:
        folder: of the version.
        wanted: says of a table of facts which rows are wanted; pictures of others are not decoded, and those of row
            groups without one not even read. None: all rows.
    """
    for path in sorted(folder.glob("*-*.parquet")):
        for table in _row_groups(path, wanted):
            for row in table.to_pylist():
                try:
                    anchor, positive = (decode(row.pop(name)["bytes"] or b"") for name in PICTURES)
                except ImageError as error:
                    log.warning("a picture of %s post %s: %s", row["site"], row["post_id"], error)
                else:
                    yield Pair(row, anchor, positive)


def hub_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with the feature types that the `datasets` library reads from Parquet metadata."""
    features = {field.name: _feature(field) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(field: pa.Field) -> dict[str, Any]:
    if pa.types.is_struct(field.type):
        return {"_type": "Image"}
    if pa.types.is_fixed_size_list(field.type):
        value = {"dtype": str(field.type.value_type).replace("float", "float32", 1), "_type": "Value"}
        return {"feature": value, "length": field.type.list_size, "_type": "List"}
    return {"dtype": str(field.type).replace("float", "float32", 1), "_type": "Value"}


def _joined(table: pa.Table, names: tuple[str, ...]) -> pa.ChunkedArray:
    whole = table.select(names).combine_chunks()
    texts = [pc.fill_null(whole[name].cast(pa.string()), "\0") for name in names]
    return pc.binary_join_element_wise(*texts, "/")


def _row_groups(path: Path, wanted: Callable[[pa.Table], pa.Array] | None) -> Iterator[pa.Table]:
    """The parts of a file that can be read, of each the rows that are wanted."""
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        log.warning("%s cannot be read: %s", path, error)
        return
    with file:
        for group in range(file.num_row_groups):
            try:
                yield file.read_row_group(group) if wanted is None else _chosen(file, group, wanted)
            except (OSError, pa.ArrowInvalid) as error:
                log.warning("%s: %d pairs cannot be read: %s", path, file.metadata.row_group(group).num_rows, error)


def _chosen(file: pq.ParquetFile, group: int, wanted: Callable[[pa.Table], pa.Array]) -> pa.Table:
    facts = file.read_row_group(group, [name for name in file.schema_arrow.names if name in FACTS])
    mask = wanted(facts)
    return file.read_row_group(group).filter(mask) if pc.any(mask).as_py() else facts.slice(0, 0)
