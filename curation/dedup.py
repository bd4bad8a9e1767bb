"""The near-duplicates of everything crawled, kept on disk and brought up to date at the price of what is new.

Three tables below one folder: `image_hashes` (made by its own step), `duplicate_matches` (which two pictures are the
same) and `duplicate_clusters` (the verdict on every picture, a shard for each of `image_hashes`). A picture is joined
with all others once, when it is first seen. Verdicts follow from the matches alone, so a collection that grew and
shrank block by block has those of one that was clustered at once.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.duplicates import RULES, DuplicateRule, Indices, Matches, candidates, concatenated, confirmed
from curation.hashing import HashImages, Mode
from curation.leaders import Evidence
from curation.pictures import PictureSet, pictures_of
from curation.places import Place
from curation.schemas import CLUSTERS, MATCHES, PICTURES
from curation.tables import Shard, ShardedTable, fingerprint, write_shard
from curation.verdicts import Verdicts, crowded, matches_of, matches_table

log = logging.getLogger(__name__)

MOST_ALIKE: Final = 1000
"""A perceptual hash that more different pictures share says nothing about them: a placeholder, a plain tile."""
_JOINED: Final = ["sha256", "role", "mode", "evidence"]
_BLOCK: Final = 1 << 16  # new pictures whose colour layouts are in memory at once, with those of what is like them
_VERSION: Final = "2"
UNFINISHED: Final = "unfinished"
"""Fingerprint of the matches while verdicts are written: whoever finds it joins all pictures again."""


@dataclass(frozen=True)
class Update:
    """What one `DuplicateIndex.update` did."""

    table: ShardedTable  # CLUSTERS
    made: int  # shards written
    kept: int  # shards whose verdicts stayed
    joined: int  # pictures that were compared with all others
    counts: Mapping[str, int]  # distinct pictures by evidence; largest_cluster


class DuplicateIndex:
    """The near-duplicates below one folder.

    Args:
        folder: holds the three tables.
        rules: by role.
        most_alike: see `MOST_ALIKE`.
    """

    def __init__(self, folder: Place, rules: Mapping[str, DuplicateRule] = RULES, most_alike: int = MOST_ALIKE) -> None:
        self._folder = folder
        self.rules = rules
        self._most_alike = most_alike
        shape = {role: asdict(rule) for role, rule in rules.items()}
        self._version = fingerprint([_VERSION, HashImages.version, shape, most_alike])

    @property
    def hashes(self) -> ShardedTable:
        """HASHES."""
        return ShardedTable(self._folder / "image_hashes")

    @property
    def clusters(self) -> ShardedTable:
        """CLUSTERS."""
        return ShardedTable(self._folder / "duplicate_clusters")

    @property
    def matches(self) -> ShardedTable:
        """MATCHES."""
        return ShardedTable(self._folder / "duplicate_matches")

    def update(self) -> Update:
        """Join what is new in `image_hashes` with everything, forget what is gone, write the verdicts that changed.

        Can be interrupted at any time: the next call does what is left.
        """
        sources = self.hashes.shards
        made = {shard.name: shard for shard in self.clusters.shards}
        stamps = {shard.name: self._stamp(shard) for shard in sources}
        complete = fingerprint(stamps)
        stored = self.matches.shards[0] if self.matches.shards else None
        current = {name for name, stamp in stamps.items() if _is_made_from(made.get(name), stamp)}
        if stored and stored.fingerprint == complete and current == made.keys() == stamps.keys():
            return Update(self.clusters, 0, len(made), 0, stored.counts)
        tables = [
            made[shard.name].table(PICTURES.names) if shard.name in current else pictures_of(shard) for shard in sources
        ]
        known, old = self._known(made, stored)
        verdicts, matches, joined = [], [], 0
        for role in self.rules:
            pictures = PictureSet.of(role, tables)
            alike = crowded(pictures, self._most_alike)
            usable = ~alike & ~pictures.flags("blank")
            before = _joined(pictures, known) & usable
            stays = matches_of(pictures, old, before)
            found = concatenated([stays, *self._join(pictures, usable & ~before, before, sources)])
            verdicts.append(Verdicts.of(pictures, found, alike))
            matches.append(matches_table(pictures, found))
            joined += int((usable & ~before).sum())
        counts = _total([verdict.counts for verdict in verdicts])
        self._write_matches(matches, UNFINISHED, counts)
        written = self._write_verdicts(verdicts, stamps, made)
        self._write_matches(matches, complete, counts)
        return Update(self.clusters, written, len(sources) - written, joined, counts)

    def remove(self, wanted: Collection[str]) -> int:
        """Forget pictures by sha256, and bring the verdicts on the others up to date.

        They come back with the next hashing of a source shard that still holds them: remove them there first.

        Returns:
            How many rows of `image_hashes` went.
        """
        gone = 0
        for shard in self.hashes.shards:
            if not (found := pc.sum(pc.is_in(shard.table(["sha256"])["sha256"], pa.array(sorted(wanted)))).as_py()):
                continue
            table = shard.table()
            rest = table.filter(pc.invert(pc.is_in(table["sha256"], pa.array(sorted(wanted)))))
            counts = Counter(shard.counts) + Counter(removed=found) - Counter(kept=found)
            # The same fingerprint: to the engine the shard still is up to date, and the rows stay away.
            write_shard(
                self.hashes.root, shard.name, shard.schema, [rest], fingerprint=shard.fingerprint, counts=counts
            )
            gone += found
        self.update()
        return gone

    def _join(
        self, pictures: PictureSet, new: npt.NDArray[np.bool_], old: npt.NDArray[np.bool_], sources: Sequence[Shard]
    ) -> Iterator[Matches]:
        """Matches of new pictures with old ones and among themselves."""
        waiting, before = np.flatnonzero(new), np.flatnonzero(old)
        for start in range(0, len(waiting), _BLOCK):
            block = waiting[start : start + _BLOCK]
            yield self._compare(pictures, block, np.concatenate([before, waiting[:start]]), sources)
            log.info("%s: %d of %d new pictures compared", pictures.role, start + len(block), len(waiting))

    def _compare(self, pictures: PictureSet, new: Indices, old: Indices, sources: Sequence[Shard]) -> Matches:
        rule = self.rules[pictures.role]
        phash, dhash = pictures.hashes("phash"), pictures.hashes("dhash")
        pairs = list(candidates(rule, phash, dhash, new, old))
        i, j = (np.concatenate([pair[side] for pair in pairs] or [np.empty(0, np.int64)]) for side in (0, 1))
        involved, place = np.unique(np.concatenate([i, j]), return_inverse=True)
        layouts = pictures.layouts(involved, sources)
        return confirmed(rule, place[: len(i)], place[len(i) :], phash[involved], dhash[involved], layouts).of(involved)

    def _stamp(self, shard: Shard) -> str:
        """Identity of the rules and of a source shard; its length, since `remove` leaves the fingerprint."""
        return f"{self._version}.{fingerprint([shard.fingerprint, shard.rows])}"

    def _known(self, made: Mapping[str, Shard], stored: Shard | None) -> tuple[pa.Table, pa.Table]:
        """Pictures that were joined under these rules, and their matches; none after an update that was cut short."""
        same = [shard for shard in made.values() if shard.fingerprint.startswith(f"{self._version}.")]
        if stored is None or stored.fingerprint == UNFINISHED or not same:
            return CLUSTERS.empty_table(), MATCHES.empty_table()
        # One table: whatever looks pictures up in many of them makes an index of all pictures for each.
        return pa.concat_tables([shard.table(_JOINED) for shard in same]), stored.table()

    def _write_matches(self, tables: list[pa.Table], state: str, counts: Mapping[str, int]) -> None:
        write_shard(self.matches.root, "all", MATCHES, tables, fingerprint=state, counts=counts)

    def _write_verdicts(self, verdicts: list[Verdicts], stamps: Mapping[str, str], made: Mapping[str, Shard]) -> int:
        written = 0
        for number, (name, stamp) in enumerate(stamps.items()):
            state = f"{stamp}.{fingerprint([verdict.digest(number) for verdict in verdicts])}"
            if name in made and made[name].fingerprint == state:
                continue
            rows = [verdict.rows(number) for verdict in verdicts]
            write_shard(self.clusters.root, name, CLUSTERS, rows, fingerprint=state)
            written += 1
        for name in made.keys() - stamps.keys():
            made[name].path.unlink()
        return written


def _is_made_from(shard: Shard | None, stamp: str) -> bool:
    return shard is not None and shard.fingerprint.startswith(f"{stamp}.")


def _joined(pictures: PictureSet, known: pa.Table) -> npt.NDArray[np.bool_]:
    """Which pictures were compared with all others before, by the hashes that they have now."""
    compared = pc.and_(pc.equal(known["role"], pictures.role), pc.not_equal(known["evidence"], Evidence.CROWDED))
    rows = known.filter(compared)
    at, exact = pictures.find(rows["sha256"]), np.asarray(pc.equal(rows["mode"], Mode.EXACT))
    was = np.zeros((2, len(pictures.keys)), bool)
    was[0, at[(at >= 0) & exact]] = True
    was[1, at[(at >= 0) & ~exact]] = True
    return np.asarray(np.where(pictures.flags("mode", Mode.EXACT), was[0], was[1]))


def _total(counts: list[Mapping[str, int]]) -> dict[str, int]:
    """Sums over the roles, but of the largest clusters the larger one."""
    total: Counter[str] = Counter()
    for of_role in counts:
        total.update(of_role)
    return {**total, "largest_cluster": max(of_role["largest_cluster"] for of_role in counts)}
