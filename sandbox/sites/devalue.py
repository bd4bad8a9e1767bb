"""Write the index-linked arrays in which Nuxt 3 puts a page's data (`__NUXT_DATA__`, the devalue format)."""

import json
from typing import Any


class Tagged:
    """A value that devalue writes as `[tag, index]`: `Reactive`, `ShallowReactive`, `Ref`, …"""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag = tag
        self.value = value


def stringify(value: Any) -> str:
    """Flatten JSON-like data: the array's element 0 is the root, and every nested value is an index into the array."""
    flat: list[Any] = []
    seen: dict[Any, int] = {}
    _add(value, flat, seen)
    return json.dumps(flat, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003C")


def _add(value: Any, flat: list[Any], seen: dict[Any, int]) -> int:
    primitive = isinstance(value, str | int | float | bool) or value is None
    key = (type(value).__name__, value) if primitive else None
    if key is not None and key in seen:
        return seen[key]
    index = len(flat)
    flat.append(value if primitive else None)
    if key is not None:
        seen[key] = index
    elif isinstance(value, Tagged):
        flat[index] = [value.tag, _add(value.value, flat, seen)]
    elif isinstance(value, dict):
        flat[index] = {name: _add(item, flat, seen) for name, item in value.items()}
    else:
        flat[index] = [_add(item, flat, seen) for item in value]
    return index
