"""Union-find over hashable keys (Tarjan 1975): which rows hang together."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Groups(Generic[K]):
    """Disjoint sets that grow by `union`; `find` names a set by one of its members."""

    def __init__(self) -> None:
        self._parent: dict[K, K] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._parent

    def find(self, key: K) -> K:
        """The representative of the key's set; a new key is a set of its own."""
        root = self._parent.setdefault(key, key)
        while root != self._parent[root]:
            root = self._parent[root]
        while key != root:  # path compression
            self._parent[key], key = root, self._parent[key]
        return root

    def union(self, a: K, b: K) -> None:
        """Merge the sets of both keys."""
        self._parent[self.find(b)] = self.find(a)
