"""Verification of pairs: two encoders, each trained on one half of the posts, judge the other half.

An encoder that learned a wrong pair calls it right. So posts are cut in two halves by a digest of their address, and
the encoder that looks at a pair never saw its post (cross-fitting, as in confident learning: Northcutt, Jiang and
Chuang 2021).
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.engine import KEPT
from curation.images import decode, trim_ground
from curation.posts import posts_in_step
from curation.reasons import PairDrop
from curation.schemas import CANDIDATES, PAIRS
from curation.tables import Shard, ShardedTable, rows_to_batch, write_shard
from curation.verification import verification_scores
from models.encoder.rivals import Rivals, write_rivals

HALVES: Final = 2
_POSTS_AT_ONCE: Final = 32  # whose pictures are held in memory
_OPINIONS: Final = ("detector_score", "classifier_probability", "colour_agreement", "proportion_difference")
_HELD_OUT: Final = 20  # one post in so many is for validation

Row = dict[str, Any]
Vectors = NDArray[np.float32]


def half_of(site: str, post_id: int) -> int:
    """The half to which a post belongs: 0 or 1, for ever the same."""
    return _digest(site, post_id) % HALVES


def write_halves(tables: Sequence[ShardedTable], out: Path, most: int) -> list[Path]:
    """Write the matches that were kept as two small pair datasets, `out/0` and `out/1`.

    Args:
        tables: POSTS, CROPS and TAG_MATCHES, shard by shard.
        out: folder.
        most: pairs of a half, about; of more, posts are left out by their digest.
    """
    matches = tables[2].table(["kept"])["kept"].to_numpy()
    share = min(1.0, HALVES * most / max(1, int(matches.sum())))
    halves = [out / str(half) for half in range(HALVES)]
    for half, folder in enumerate(halves):
        for split in ("train", "validation"):
            rows = _rows_of(tables, half, split, share)
            write_shard(folder, f"{split}-00000", PAIRS, _batches(rows), fingerprint=f"{tables[2].fingerprint}/{split}")
    return halves


def rivals_of(verifier: Path) -> ShardedTable:
    """The products that the encoders in a verifier's folder know: a RIVALS table."""
    return ShardedTable(verifier / "rivals")


def learn_rivals(verifier: Path, halves: Sequence[Path]) -> None:
    """Let both encoders of a verifier see the products of all their pairs."""
    from models.encoder.infer import Encoder

    for half in range(HALVES):
        encoder = Encoder.load(verifier / str(half))
        pairs = [ShardedTable(folder) for folder in halves]
        write_rivals(pairs, encoder.embed, encoder.version, rivals_of(verifier).root, str(half))


def _rows_of(tables: Sequence[ShardedTable], half: int, split: str, share: float) -> Iterator[Row]:
    others = [{shard.name: shard for shard in table.shards} for table in tables[1:]]
    for shard in tables[0].shards:
        if not all(shard.name in table for table in others):  # a crawl has added it since
            continue
        derived = [table[shard.name] for table in others]
        chosen = _posts_of(derived[-1], half, split, share)
        for pictures, crops, matches in posts_in_step(shard, *derived, only=chosen):
            for row in with_pictures(pictures, crops, matches):
                if row["kept"]:
                    images = {"anchor": _image(row["anchor_bytes"]), "positive": _image(row["positive_bytes"])}
                    yield {**{name: row.get(name) for name in PAIRS.names}, **images, "split": split}


def _posts_of(matches: Shard, half: int, split: str, share: float) -> list[int]:
    """Ids of the posts with a kept match that belong to a split of a half, known before any picture is read."""
    table = matches.table(["site", "post_id", "kept"])
    posts = zip(table["site"].to_pylist(), table["post_id"].to_pylist(), table["kept"].to_pylist(), strict=True)
    return [post_id for site, post_id, kept in posts if kept and _belongs(site, post_id, half, split, share)]


def _belongs(site: str, post_id: int, half: int, split: str, share: float) -> bool:
    digest = _digest(site, post_id) // HALVES
    held_out = digest % _HELD_OUT == 0
    if half_of(site, post_id) != half or held_out != (split == "validation"):
        return False
    return (digest // _HELD_OUT) % 10_000 < share * 10_000


def with_pictures(pictures: Iterable[Row], crops: Iterable[Row], matches: Iterable[Row]) -> list[Row]:
    """The matches of one post, the kept ones with the bytes of their crop and their thumbnail.

    None at all when a crawl under way has brought other pictures since: the run that follows verifies the shard again.
    """
    thumbnails = {row["sha256"]: row["bytes"] for row in pictures if row["role"] == "product"}
    cut = {(row["image_sha256"], tuple(row["box"])): row["bytes"] for row in crops if row["kept"]}
    found = []
    for row in matches:
        anchor = cut.get((row["anchor_sha256"], tuple(row["box"]))) if row["kept"] else None
        positive = thumbnails.get(row["positive_sha256"]) if row["kept"] else None
        if row["kept"] and None in (anchor, positive):
            return []
        found.append({**row, "anchor_bytes": anchor, "positive_bytes": positive})
    return found


class VerifyPairs:
    """Step: POSTS, CROPS and TAG_MATCHES shards → CANDIDATES shard, with the pictures of the pairs that are kept.

    Args of the constructor:
        verifier: folder of the two encoders and of the products that they know; empty: pairs are judged without.
        verifier_version: that they must have: versions of both encoders and fingerprint of the products, with `/`
            between; it is also what tells the engine of new ones.
        least_verification: least probability of a pair that is kept, 0-1.
        threads: see `Step`.

    Raises:
        CheckpointError: the verifier is another one, as after a training that was killed between its parts.
    """

    on_gpu: ClassVar[bool] = True
    version: ClassVar[str] = "4"
    schema: ClassVar[pa.Schema] = CANDIDATES

    def __init__(self, verifier: str, verifier_version: str, least_verification: float, threads: int = 1) -> None:
        from models.device import set_threads
        from models.encoder.infer import Encoder
        from models.errors import CheckpointError

        set_threads(threads)
        self._least = least_verification
        halves = range(HALVES) if verifier else range(0)
        self._encoders = [Encoder.load(Path(verifier) / str(half)) for half in halves]
        self._rivals: list[Rivals] = []
        if verifier:
            rivals = rivals_of(Path(verifier))
            found = "/".join([*(encoder.version for encoder in self._encoders), rivals.fingerprint])
            if found != verifier_version:
                raise CheckpointError(f"{verifier} has version {found}, asked for {verifier_version}")
            self._rivals = [Rivals(shard) for shard in rivals.shards]

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """One batch of rows for each few posts."""
        self._known: dict[tuple[int, str], Vectors] = {}  # thumbnails of the shard: most are tagged again and again
        self._proportions: dict[str, float] = {}
        posts = posts_in_step(*shards)
        while some := list(islice(posts, _POSTS_AT_ONCE)):
            rows = [row for tables in some for row in with_pictures(*tables)]
            self._judge([row for row in rows if row["kept"]])
            counts.update(row["reason"] or KEPT for row in rows)
            if rows:
                yield rows_to_batch(rows, CANDIDATES)

    def _judge(self, rows: Sequence[Row]) -> None:
        """Give kept rows their scores, and drop the doubtful ones."""
        if not rows:
            return
        self._compare(rows)
        for row in rows:
            row["proportion_difference"] = math.log(_proportion(row["box"]) / self._thumbnail_proportion(row))
        opinions = [[row[name] for row in rows] for name in _OPINIONS]
        encoders = ([row["encoder_similarity"] for row in rows], [row["encoder_preference"] for row in rows])
        for row, score in zip(rows, verification_scores(*opinions, *(encoders if self._encoders else ())), strict=True):
            row["verification_score"] = float(score)
            if score < self._least:
                row |= {"kept": False, "reason": PairDrop.DOUBTFUL, "anchor_bytes": None, "positive_bytes": None}

    def _thumbnail_proportion(self, row: Row) -> float:
        """Height by width of the garment on a thumbnail, or of the picture where its ground is not plain."""
        key = row["positive_sha256"]
        if key not in self._proportions:
            garment = trim_ground(decode(row["positive_bytes"]))
            self._proportions[key] = garment.height / garment.width
        return self._proportions[key]

    def _compare(self, rows: Sequence[Row]) -> None:
        """Give rows what the encoder of the half that their post does not belong to says of crop and thumbnail."""
        for row in rows:
            row |= {"encoder_similarity": None, "encoder_preference": None}
        for half, (encoder, rivals) in enumerate(zip(self._encoders, self._rivals, strict=True)):
            own = [row for row in rows if half_of(row["site"], row["post_id"]) != half]
            new = {row["positive_sha256"]: row["positive_bytes"] for row in own}
            new = {sha: data for sha, data in new.items() if (half, sha) not in self._known}
            vectors = encoder.embed([decode(data) for data in new.values()])
            self._known |= {(half, sha): vector for sha, vector in zip(new, vectors, strict=True)}
            crops = encoder.embed([decode(row["anchor_bytes"]) for row in own])
            for row, crop in zip(own, crops, strict=True):
                similarity = float(crop @ self._known[half, row["positive_sha256"]])
                preference = rivals.preference(row, crop, similarity)
                row |= {"encoder_similarity": similarity, "encoder_preference": preference}


def _proportion(box: Sequence[float]) -> float:
    """Height by width."""
    return (box[3] - box[1]) / (box[2] - box[0])


def _batches(rows: Iterator[Row]) -> Iterator[pa.RecordBatch]:
    while some := list(islice(rows, _POSTS_AT_ONCE)):
        yield rows_to_batch(some, PAIRS)


def _image(data: bytes) -> Row:
    return {"bytes": data, "path": None}


def _digest(site: str, post_id: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{site}/{post_id}".encode()).digest()[:8])
