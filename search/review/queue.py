"""Who looks at which pair next, and what was said: verdicts go to disk before anybody is told that they are taken."""

import logging
import os
import threading
import time
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from curation.doubts import make_doubts
from curation.errors import CurationError
from curation.review import Decision, Ruling, Rulings, Verdict, VerdictLog, read_verdicts
from curation.versions import Versions
from search.errors import BadRequestError, NotFoundError
from search.review.pairs import Doubt, PairPictures, in_order, in_rough_order

HELD: Final = 300.0  # seconds that a pair shown to one reviewer is kept from others
_Files = frozenset[tuple[str, int]]
"""Names and sizes, in bytes, of the files of verdicts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the review of the version in use is."""

    pairs: int
    reviewed: int  # pairs that somebody has judged, or passed
    accepted: int
    rejected: int


class ReviewQueue:
    """The pairs of the dataset version in use. Threads may share it, and other processes may add verdicts beside it.

    A version whose pairs nobody has looked at yet is shown in a rough order within seconds, while another process looks
    at them; what it finds stays on disk.
    """

    def __init__(self, data: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing read.

        Args:
            data: data folder, with `pair_dataset` and `crawl/posts`; verdicts go to `review/verdicts`.
            clock: seconds, for how long a pair is held.
        """
        self.pictures = PairPictures(data / "crawl" / "posts")
        self._data = data
        self._versions = Versions(data / "pair_dataset")
        self._folder = data / "review" / "verdicts"
        self._clock = clock
        self._lock = threading.RLock()
        self._log: VerdictLog | None = None  # made with the first verdict
        self._version: Path | None = None
        self._loading: threading.Thread | None = None
        self._looking: threading.Thread | None = None
        self._pairs: dict[str, Doubt] = {}  # by id, most doubtful first
        self._by_pictures: dict[tuple[str, str], list[Doubt]] = {}  # the same, by photo and thumbnail
        self._holders: dict[str, tuple[str, float]] = {}  # by id: who looks at it, until when
        self._verdicts: dict[tuple[str, str], list[Verdict]] = defaultdict(list)  # by photo and thumbnail, oldest first
        self._seen: _Files | None = None  # as they were when they were read

    def ready(self) -> bool:
        """Whether pairs can be asked for; begins to read them where not.

        Raises:
            NotFoundError: there is no dataset to review.
        """
        with self._lock:
            wanted = self._versions.current
            if wanted is None:
                raise NotFoundError("there is no pair dataset to review")
            if wanted == self._version:
                return True
            if not _alive(self._loading):
                self._loading = _start(self._load, wanted)
            return False

    def next(self, reviewer: str, count: int) -> list[Doubt]:
        """The most doubtful pairs that nobody has judged and nobody else looks at just now; they are then held."""
        with self._lock:
            self._refresh()
            now = self._clock()
            found: list[Doubt] = []
            for pair in self._pairs.values():
                if len(found) == count:
                    break
                holder, until = self._holders.get(pair.id, (reviewer, now))
                if (holder == reviewer or until <= now) and self._ruling(pair) is None:
                    self._holders[pair.id] = reviewer, now + HELD
                    found.append(pair)
            return found

    def say(self, id: str, decision: Decision, reviewer: str, category: str | None = None) -> None:  # noqa: A002
        """Take a verdict, or take one back; it is on disk when this returns.

        Raises:
            NotFoundError: the version in use has no such pair.
            BadRequestError: the verdict breaks a rule.
        """
        pair = self.pair(id)
        try:
            verdict = Verdict(
                pair.anchor_sha256, pair.box, pair.positive_sha256, decision, reviewer, _changed(pair, category)
            )
        except CurationError as error:
            raise BadRequestError(str(error)) from error
        with self._lock:
            self._log = self._log or VerdictLog(self._folder)
            self._log.append([verdict])
            self._note(verdict)

    def pair(self, id: str) -> Doubt:  # noqa: A002
        """The pair of that id. Raises `NotFoundError`."""
        with self._lock:
            try:
                return self._pairs[id]
            except KeyError:
                raise NotFoundError(f"no pair {id!r} in the version in use") from None

    def draw(self, id: str, picture: Callable[[Doubt], bytes]) -> bytes:  # noqa: A002
        """One of the `pictures` of a pair. A pair without pictures cannot be judged: it leaves the queue.

        Raises:
            NotFoundError: the version in use has no such pair, or its pictures are not there any more.
        """
        pair = self.pair(id)
        try:
            return picture(pair)
        except NotFoundError:
            self._leave_out(pair)
            raise

    def progress(self) -> Progress:
        """Counts of this moment."""
        with self._lock:
            self._refresh()
            judged = (pair for pictures in self._verdicts for pair in self._by_pictures.get(pictures, ()))
            rulings = [ruling for pair in judged if (ruling := self._ruling(pair))]
            of = Counter(ruling.decision for ruling in rulings)
            return Progress(len(self._pairs), len(rulings), of[Decision.ACCEPT], of[Decision.REJECT])

    def _load(self, version: Path) -> None:
        pairs = in_order(self._data, version)
        self._take(version, in_rough_order(version) if pairs is None else pairs)
        with self._lock:
            if pairs is None and not _alive(self._looking):
                self._looking = _start(self._look)

    def _look(self) -> None:
        """Have every pair of the version in use looked at, beside the service: it takes minutes of a core."""
        start = self._clock()
        version = self._version
        while version is not None and (pairs := in_order(self._data, version)) is None:
            child = get_context("spawn").Process(target=_look_at_pairs, args=(self._data, version), daemon=True)
            child.start()
            child.join()
            if child.exitcode:
                log.error("pairs of version %s stay in rough order: exit status %s", version.name, child.exitcode)
                return
            version = self._version  # another one may be in use by now
        if version is not None and pairs is not None:
            self._take(version, pairs)
            log.info("%d pairs of version %s in order after %.0f s", len(pairs), version.name, self._clock() - start)

    def _take(self, version: Path, pairs: list[Doubt]) -> None:
        by_pictures = defaultdict(list)
        for pair in pairs:
            by_pictures[pair.anchor_sha256, pair.positive_sha256].append(pair)
        with self._lock:
            self._pairs, self._by_pictures = {pair.id: pair for pair in pairs}, by_pictures
            self._version = version

    def _leave_out(self, pair: Doubt) -> None:
        pictures = pair.anchor_sha256, pair.positive_sha256
        with self._lock:
            self._pairs.pop(pair.id, None)
            alike = self._by_pictures.get(pictures, [])
            self._by_pictures[pictures] = [other for other in alike if other.id != pair.id]

    def _refresh(self) -> None:
        """Read the verdicts again when somebody else has changed their files."""
        files = self._files()
        if files == self._seen:
            return
        verdicts = defaultdict(list)
        for verdict in read_verdicts(self._folder):
            verdicts[verdict.anchor_sha256, verdict.positive_sha256].append(verdict)
        self._verdicts, self._seen = verdicts, files

    def _note(self, verdict: Verdict) -> None:
        """Count a verdict that was just written. Where more files than our own have changed, all are read later on."""
        files = self._files()
        if self._seen is not None and len({name for name, _ in files ^ self._seen}) == 1:
            said = self._verdicts[verdict.anchor_sha256, verdict.positive_sha256]
            insort(said, verdict, key=attrgetter("at", "reviewer"))  # as `read_verdicts` has them
            self._seen = files

    def _files(self) -> _Files:
        return frozenset((path.name, path.stat().st_size) for path in self._folder.glob("*.jsonl"))

    def _ruling(self, pair: Doubt) -> Ruling | None:
        said = self._verdicts.get((pair.anchor_sha256, pair.positive_sha256))
        return Rulings(said).of(pair.anchor_sha256, pair.box, pair.positive_sha256) if said else None


def _look_at_pairs(data: Path, version: Path) -> None:
    """In a process of its own: whoever searches meanwhile comes first."""
    os.nice(10)
    make_doubts(data, version)


def _start(work: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def _alive(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def _changed(pair: Doubt, category: str | None) -> str | None:
    """A category that is not the pair's own."""
    return None if category == pair.category else category
