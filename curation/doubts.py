"""How doubtful each pair of a dataset version is, most doubtful first, kept on disk below the data folder.

Looking at 290,000 pairs takes a quarter of an hour. So the table also keeps the colours of each pair, found again by
photo, box and thumbnail: a later version has only what is new in it looked at. A take-down cleans the table as any
other, since its rows name their pictures.

A pair that came ready-made (`curation.anchor_cloth`) is not doubted: it has no photo with a box that a verdict could
name, and no detector's score.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.colours import crop_colours, thumbnail_colours
from curation.errors import ImageError
from curation.images import decode
from curation.noise import noise_scores
from curation.pair_rows import PICTURES
from curation.places import read_manifest
from curation.schemas import COLOURS, DOUBTS
from curation.tables import Shard, ShardedTable, fingerprint, rows_to_batch, write_shard

PLACE: Final = Path("review") / "doubts"
_NAME: Final = "pairs"
_METHOD: Final = "1"  # of noise and colours; another number has every pair looked at again
_SHOWN: Final = tuple(name for name in DOUBTS.names if name not in (*COLOURS, "noise"))
_ROWS: Final = 4096  # written at once

Key = tuple[str, tuple[float, ...], str]
"""Photo, box and thumbnail of a pair."""
ColourPair = tuple[npt.NDArray[np.float16], npt.NDArray[np.float16]]
"""Of crop and thumbnail, (320,) each."""

log = logging.getLogger(__name__)


def pair_key(row: Mapping[str, Any]) -> Key:
    """What a pair shows: the same in every version."""
    return row["anchor_sha256"], tuple(row["box"]), row["positive_sha256"]


def read_doubts(data: Path, version: Path) -> pa.Table | None:
    """The version's pairs, most doubtful first, without their colours; None until `make_doubts` has looked at them."""
    shard = _shard(data)
    return shard.table([*_SHOWN, "noise"]) if shard and shard.fingerprint == _fingerprint(version) else None


def make_doubts(data: Path, version: Path) -> pa.Table:
    """As `read_doubts`; looks at the pictures of new pairs, a few milliseconds each, and keeps what it finds.

    A pair whose pictures cannot be read is left out with a warning.
    """
    found = read_doubts(data, version)
    if found is not None:
        return found
    facts, colours = _look_at_all(version, _known(data))
    noise = np.empty(0, np.float32)
    if facts:
        noise = noise_scores(facts, *(np.array(side, np.float32) for side in zip(*colours, strict=True)))
    order = np.argsort(-noise, kind="stable")
    batches = (_batch(order[start : start + _ROWS], facts, colours, noise) for start in range(0, len(order), _ROWS))
    shard = write_shard(data / PLACE, _NAME, DOUBTS, batches, fingerprint=_fingerprint(version))
    return shard.table([*_SHOWN, "noise"])


def facts_of(version: Path, names: Sequence[str] = _SHOWN) -> Iterator[dict[str, Any]]:
    """Those columns, `box` among them, of every pair that can be doubted, in the order of the shards."""
    for shard in ShardedTable(version).shards:
        for batch in shard.batches(names):
            yield from batch.filter(pc.is_valid(batch["box"])).to_pylist()


def _look_at_all(version: Path, known: Mapping[Key, ColourPair]) -> tuple[list[dict[str, Any]], list[ColourPair]]:
    facts: list[dict[str, Any]] = []
    colours: list[ColourPair] = []
    lost = ready_made = 0
    for rows, pictures in _groups(version, known):
        for place, row in enumerate(rows):
            if row["box"] is None:
                ready_made += 1
                continue
            try:
                found = known.get(pair_key(row)) or _look(pictures[place])
            except ImageError as error:
                lost += 1
                log.warning("a picture of %s post %s: %s", row["site"], row["post_id"], error)
                continue
            facts.append(row)
            colours.append(found)
    told = "%d pairs of version %s looked at, %d cannot be read, %d came ready-made"
    log.info(told, len(facts), version.name, lost, ready_made)
    return facts, colours


def _groups(
    version: Path, known: Mapping[Key, ColourPair]
) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Facts and pictures, a row group at a time; no pictures where every pair is known."""
    for shard in ShardedTable(version).shards:
        with pq.ParquetFile(shard.path) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, _SHOWN).to_pylist()
                new = any(row["box"] is not None and pair_key(row) not in known for row in rows)
                yield rows, file.read_row_group(group, PICTURES).to_pylist() if new else []


def _look(pictures: Mapping[str, Any]) -> ColourPair:
    crop, thumbnail = (decode(pictures[name]["bytes"] or b"") for name in PICTURES)
    return crop_colours(crop).astype(np.float16), thumbnail_colours(thumbnail).astype(np.float16)


def _known(data: Path) -> dict[Key, ColourPair]:
    shard = _shard(data)
    found: dict[Key, ColourPair] = {}
    for batch in shard.batches(["anchor_sha256", "box", "positive_sha256", *COLOURS]) if shard else ():
        for row in batch.to_pylist():
            crop, thumbnail = (np.frombuffer(row[name], np.float16) for name in COLOURS)
            found[pair_key(row)] = crop, thumbnail
    return found


def _batch(
    order: npt.NDArray[np.int64], facts: Sequence[Mapping[str, Any]], colours: Sequence[ColourPair], noise: Any
) -> pa.RecordBatch:
    def row(place: int) -> dict[str, Any]:
        shown = dict(zip(COLOURS, (side.tobytes() for side in colours[place]), strict=True))
        return {**facts[place], **shown, "noise": noise[place]}

    return rows_to_batch([row(place) for place in order.tolist()], DOUBTS)


def _fingerprint(version: Path) -> str:
    return fingerprint([read_manifest(version)["fingerprint"], _METHOD])


def _shard(data: Path) -> Shard | None:
    return next((shard for shard in ShardedTable(data / PLACE).shards if shard.name == _NAME), None)
