"""What a user can set, as tables: for the terminal with what holds now, and for `docs/SETTINGS.md`."""

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from pipelines.environments import OTHERS, Settings, masked, variable

_KINDS = {int: "whole number", float: "number", bool: "`true` or `false`", Path: "folder", str: "text"}
_HEAD = """# Settings

Made by `python -m pipelines settings --markdown`; a test holds it to the code. An empty variable counts as unset.
A value that breaks its rule, and a `FASHION_` name that is not here, is refused by name before any work starts.

`python -m pipelines settings` prints what holds now, and which values are set; passwords are masked.
`python -m pipelines doctor` tells whether this machine has what they need.
What folders of pictures have to hold: [PHOTOS.md](PHOTOS.md).

| variable | value | default | what it is, and its unit |
|---|---|---|---|
"""
_OTHERS = """
Read elsewhere, each by the one program that it is for:

| variable | what it is |
|---|---|
"""


def rule(field: FieldInfo) -> str:
    """Which values a field takes: kind and range, or the words allowed."""
    kind: Any = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(kind))
    bounds: dict[type, Any] = {type(part): part for part in field.metadata}
    low = f"{bounds[Ge].ge:,} to" if Ge in bounds else f"above {bounds[Gt].gt:,}, to" if Gt in bounds else ""
    high = f"{bounds[Le].le:,}" if Le in bounds else f"below {bounds[Lt].lt:,}" if Lt in bounds else ""
    return " ".join(part for part in (_KINDS.get(kind, "text"), low, high) if part)


def default(field: FieldInfo) -> str:
    """A field's default as one would write it; empty where there is none."""
    value = field.default
    if value in (None, ""):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def markdown() -> str:
    """The whole of `docs/SETTINGS.md`."""
    rows = [
        f"| `{variable(name)}` | {rule(field)} | {default(field)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    others = [f"| `{name}` | {meaning} |\n" for name, meaning in OTHERS.items()]
    return "".join([_HEAD, *rows, _OTHERS, *others])


def shown(settings: Settings, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Each setting with its value, whether it was `set` or is the `default`, and what it is; secrets masked."""
    return [
        {
            "variable": variable(name),
            "value": "" if (value := getattr(settings, name)) is None else masked(name, value),
            "from": "set" if environment.get(variable(name)) else "default",
            "description": str(field.description),
        }
        for name, field in Settings.model_fields.items()
    ]


def text(rows: list[dict[str, str]]) -> str:
    """Rows of `shown` as lines for a terminal."""
    widths = {key: max(len(row[key]) for row in rows) for key in ("variable", "value", "from")}
    return "\n".join(
        "  ".join([*(row[key].ljust(width) for key, width in widths.items()), row["description"]]) for row in rows
    )
