"""The index in use by a running service: a version that was swapped in is taken up between two queries."""

import logging
import math
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Final

from search.errors import SearchError, VersionMismatchError
from search.protocols import IndexStore, ProductIndex

AGAIN: Final = 10.0  # s after which a version that could not be read is tried again

log = logging.getLogger(__name__)


class LiveIndex:
    """Gives the newest version that is fit for use. Threads may share it.

    A query asks once and keeps what it got: it sees one version from start to end, whatever is swapped in meanwhile.
    """

    def __init__(self, store: IndexStore, check: Callable[[ProductIndex], None], index: ProductIndex) -> None:
        """Begin with an index.

        Args:
            store: asked before every query which version is in use.
            check: raises a `SearchError` for an index that does not fit the rest of the service.
            index: what to begin with; checked already.
        """
        self._store = store
        self._check = check
        self._index = index
        self._refused: str | None = None
        self._refused_until = 0.0  # s, as `monotonic` counts
        self._reloading = Lock()

    def get(self) -> ProductIndex:
        """The index to use for one whole query. Only one thread waits for a new version; others go on with the old."""
        try:
            version = self._store.current()
        except (SearchError, OSError):
            log.exception("the version in use cannot be told; %s stays", self._index.version)
            return self._index
        if self._is_wanted(version) and self._reloading.acquire(blocking=False):
            try:
                self._reload(version)
            finally:
                self._reloading.release()
        return self._index

    def _is_wanted(self, version: str | None) -> bool:
        if version == self._refused and monotonic() < self._refused_until:
            return False
        return version not in (None, self._index.version)

    def _reload(self, version: str | None) -> None:
        try:
            fresh = self._store.open()
            self._check(fresh)
        except (SearchError, OSError) as error:  # the second: files that are there but cannot be read just now
            self._refused = version  # so that the log says it once, not once per query
            forever = isinstance(error, VersionMismatchError)  # what could not be read may be there the next time
            self._refused_until = math.inf if forever else monotonic() + AGAIN
            log.exception("index version %s refused; %s stays in use", version, self._index.version)
        else:
            log.info("index version %s taken up after %s", fresh.version, self._index.version)
            self._index, self._refused = fresh, None
