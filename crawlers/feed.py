"""A shop's own product feed, CSV or JSON lines: which rows a catalog can take, and why it cannot take the others."""

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from crawlers.errors import ConfigError
from crawlers.pages.base import ShopItem, clean, link, price
from curation.taxonomy import LABELS

_NEEDED: Final = ("id", "category", "image")
_COLUMNS: Final = (*_NEEDED, "name", "brand", "price", "url")
_CSV: Final = frozenset({".csv", ".tsv"})
_JSON_LINES: Final = frozenset({".jsonl", ".ndjson"})
_DELIMITERS: Final = ",;\t"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not taken."""

    line: int  # of the feed, counted from 1; in CSV the last one of the row
    id: str | None
    field: str
    reason: str


class RefusedRowError(Exception):
    """Raised within this file for a row that cannot be taken; becomes a `Refusal`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class Feed:
    """What a catalog can take of a feed, by category."""

    path: Path
    categories: Mapping[int, str]
    """Number of a class in `LABELS` → its name; those of the feed, and those that were imported before."""
    items: Mapping[int, Sequence[ShopItem]]
    """Number of a class → its products in order of the feed. A picture beside the feed has its path as its address."""
    hosts: frozenset[str]
    """Where the pictures are that have to be fetched: nobody else is asked."""
    refused: Sequence[Refusal]
    unread: Sequence[str]
    """Columns that have no meaning here."""

    @property
    def rows(self) -> int:
        """Rows of the feed."""
        return sum(map(len, self.items.values())) + len(self.refused)

    def listing_url(self, number: int, page: int) -> str:  # noqa: ARG002 - as a shop's listings are called
        """What a category of the feed is called in messages."""
        return f"{self.path}: {LABELS[number]}"

    def file(self, item: ShopItem) -> Path | None:
        """Where the picture of a product lies beside the feed; None when it has to be fetched."""
        address = item.image_url or ""
        return None if is_address(address) else self.path.parent / address


def is_address(image: str) -> bool:
    """Whether an image is an address rather than the path of a file."""
    try:
        parts = urlsplit(image)
    except ValueError:  # "http://[" and the like
        return True
    return bool(parts.scheme or parts.netloc)


def read_feed(path: Path, listed: Collection[str] = ()) -> Feed:
    """Read a feed.

    Args:
        path: `.csv` or `.tsv`, with the names of the columns in the first line, or `.jsonl` or `.ndjson`.
        listed: categories that an earlier feed had.

    Raises:
        ConfigError: the file cannot be read, is of no such kind, or lacks a column that each row must have.
    """
    items: dict[int, list[ShopItem]] = {LABELS.index(label): [] for label in LABELS if label in listed}
    refused: list[Refusal] = []
    lines: dict[str, int] = {}
    unread: dict[str, None] = {}
    for line, row in _rows(path):
        key = _text(row.get("id")) if isinstance(row, dict) else None
        try:
            unread |= dict.fromkeys(sorted(map(str, _checked(row).keys() - set(_COLUMNS))))
            label, item = _item(row, path.parent.resolve(), lines)
        except RefusedRowError as error:
            refused.append(Refusal(line, key, error.field, str(error)))
            continue
        lines[str(key)] = line
        items.setdefault(LABELS.index(label), []).append(item)
    addresses = (item.image_url or "" for of_category in items.values() for item in of_category)
    hosts = frozenset(str(urlsplit(address).hostname) for address in addresses if is_address(address))
    categories = {number: LABELS[number] for number in sorted(items)}
    return Feed(path, categories, items, hosts, refused, tuple(unread))


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Rows with their lines; what is no row at all as it came. Raises `ConfigError`."""
    suffix = path.suffix.lower()
    if suffix not in _CSV | _JSON_LINES:
        raise ConfigError(f"feed: must end in {', '.join(sorted(_CSV | _JSON_LINES))}, got {path.name!r}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _csv_rows(path, file) if suffix in _CSV else _json_rows(file)
    except OSError as error:
        raise ConfigError(f"feed: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"feed: {path} is not UTF-8: {error.reason} at byte {error.start}") from error


def _csv_rows(path: Path, file: Iterable[str]) -> Iterator[tuple[int, Any]]:
    lines = iter(file)
    head = next(lines, "")
    delimiter = max(_DELIMITERS, key=head.count)
    columns = [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])]
    if missing := [name for name in _NEEDED if name not in columns]:
        raise ConfigError(f"feed: {path} has no column {', '.join(missing)}; it has {', '.join(columns)}")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)  # a quote that is never closed would swallow rows
    try:
        for cells in filter(None, reader):
            whole = len(cells) == len(columns)
            yield reader.line_num + 1, dict(zip(columns, cells, strict=True)) if whole else tuple(cells)
    except csv.Error as error:
        raise ConfigError(f"feed: {path}, line {reader.line_num + 1}: {error}") from error


def _json_rows(file: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, line


def _checked(row: Any) -> dict[str, Any]:
    if isinstance(row, tuple):
        raise RefusedRowError("row", f"has {len(row)} values, not as many as there are columns")
    if not isinstance(row, dict):
        raise RefusedRowError("row", "is no JSON object")
    return row


def _item(row: Mapping[str, Any], folder: Path, lines: Mapping[str, int]) -> tuple[str, ShopItem]:
    """Category and product of a row. Raises `RefusedRowError`."""
    values = {name: _text(row.get(name)) for name in _COLUMNS}
    for name in _NEEDED:
        if values[name] is None:
            raise RefusedRowError(name, "is missing")
    if before := lines.get(str(values["id"])):
        raise RefusedRowError("id", f"is on line {before} already")
    label = str(values["category"]).lower()
    if label not in LABELS:
        raise RefusedRowError("category", f"must be one of {', '.join(LABELS)}, got {values['category']!r}")
    cost = price(row.get("price"))
    if cost is None and values["price"] is not None:
        raise RefusedRowError("price", f"must be a number, got {values['price']!r}")
    page = link("", values["url"])
    if page is None and values["url"] is not None:
        raise RefusedRowError("url", f"must be an http or https address, got {values['url']!r}")
    image = _image(str(row["image"]).strip(), folder)
    return label, ShopItem(values["id"], values["name"], values["brand"], cost, page, image)


def _image(text: str, folder: Path) -> str:
    """An address without fragment, or a path below the feed's folder. Raises `RefusedRowError`."""
    if is_address(text):
        address = link("", text)
        if address is None:
            raise RefusedRowError("image", f"must be an http or https address or a path, got {text!r}")
        return address
    try:
        return (folder / text).resolve().relative_to(folder).as_posix()
    except ValueError as error:  # elsewhere, or no path at all
        raise RefusedRowError("image", f"must lie below the feed's folder, got {text!r}") from error


def _text(value: object) -> str | None:
    """Text of a cell; of JSON, numbers too."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else clean(value)
