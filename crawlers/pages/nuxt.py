"""Read the data that Nuxt 3 puts into a page: `<script id="__NUXT_DATA__">`, an index-linked array (devalue).

Element 0 is the root; every nested value is an index into the array; `["Reactive", 7]` wraps element 7; cycles occur.
Format: https://github.com/Rich-Harris/devalue, revivers: Nuxt's `revive-payload` plugin.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from crawlers.errors import NuxtDataError

_MAX_DEPTH: Final = 150  # real payloads nest about 30 deep; a chain as long as the array would exhaust the stack
_WRAPPERS: Final = frozenset({"Reactive", "ShallowReactive", "Ref", "ShallowRef", "NuxtError", "Object"})
_TEXT: Final = frozenset({"Date", "URL", "BigInt"})


def decode(text: str) -> Any:
    """The page's data as dictionaries, lists and scalars; what JSON cannot say (undefined, NaN, functions) is None.

    Raises:
        NuxtDataError: not JSON, not a non-empty array, an index outside it, or nesting beyond any real page.
    """
    try:
        flat = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NuxtDataError(f"__NUXT_DATA__ is not JSON: {type(error).__name__}") from error
    if not isinstance(flat, list) or not flat:
        raise NuxtDataError(f"__NUXT_DATA__ is a {type(flat).__name__}, not a non-empty array")
    return _Reviver(flat).revive(0, 0)


def find(data: Any, wanted: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    """All dictionaries below `data` for which `wanted` holds, each once, in breadth-first order."""
    queue, seen = [data], {id(data)}
    for value in queue:
        if isinstance(value, dict) and wanted(value):
            yield value
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for child in children:
            if isinstance(child, dict | list) and id(child) not in seen:
                seen.add(id(child))
                queue.append(child)


class _Reviver:
    def __init__(self, flat: list[Any]) -> None:
        self._flat = flat
        self._done: dict[int, Any] = {}

    def revive(self, index: Any, depth: int) -> Any:
        if not isinstance(index, int) or isinstance(index, bool) or index >= len(self._flat):
            raise NuxtDataError(f"__NUXT_DATA__ has no element {str(index)[:40]!r}")
        if index < 0:  # undefined, a hole, NaN, ±Infinity, -0
            return None
        if index in self._done:
            return self._done[index]
        if depth > _MAX_DEPTH:
            raise NuxtDataError(f"__NUXT_DATA__ nests deeper than {_MAX_DEPTH}")
        value = self._flat[index]
        if isinstance(value, dict):
            return self._object(index, value, depth)
        if isinstance(value, list):
            return self._array(index, value, depth)
        return value

    def _object(self, index: int, value: dict[str, Any], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        self._done[index] = result  # before its children: they may point back
        for name, child in value.items():
            result[name] = self.revive(child, depth + 1)
        return result

    def _array(self, index: int, value: list[Any], depth: int) -> Any:
        if value and isinstance(value[0], str):
            return self._tagged(index, value, depth)
        return self._list(index, value, depth)

    def _list(self, index: int, children: list[Any], depth: int) -> list[Any]:
        result: list[Any] = []
        self._done[index] = result  # before its children, as above
        result.extend(self.revive(child, depth + 1) for child in children)
        return result

    def _tagged(self, index: int, value: list[Any], depth: int) -> Any:
        tag, rest = value[0], value[1:]
        if tag in _WRAPPERS and rest:
            inner = self.revive(rest[0], depth + 1)
            self._done[index] = inner
            return inner
        if tag in _TEXT and rest:
            return rest[0]
        if tag == "Set":
            return self._list(index, rest, depth)
        if tag in ("Map", "null"):
            return self._map(index, rest, depth, plain_keys=tag == "null")
        return None

    def _map(self, index: int, rest: list[Any], depth: int, *, plain_keys: bool) -> dict[str, Any]:
        result: dict[str, Any] = {}
        self._done[index] = result
        for place, (key, child) in enumerate(zip(rest[::2], rest[1::2], strict=False)):
            name = key if plain_keys else self.revive(key, depth + 1)
            # Written out, a key that holds values which hold each other would have no end.
            result[f"#{place}" if isinstance(name, dict | list) else str(name)] = self.revive(child, depth + 1)
        return result
