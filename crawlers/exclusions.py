"""What must not be crawled again: posts, products and pictures that somebody asked to have taken down.

One JSON line each in `exclusions.jsonl` beside the tables; lines are only ever added, and one that says `lifted` takes
an earlier one back. A crawl reads it when it begins, and again with each block or category.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from crawlers.errors import ConfigError
from crawlers.pages.base import original
from curation.tables import append_lines

FILE_NAME: Final = "exclusions.jsonl"
REASON: Final = "take_down"
"""Reason in the ledger of a post that is excluded."""
Kind = Literal["post", "product", "image"]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One thing that is left alone, or is no longer."""

    kind: Kind
    site: str
    value: str  # id of a post or product; address of an image, query removed
    reason: str  # for people: who asked, when, by which right
    at: str  # ISO 8601, UTC
    lifted: bool = False  # takes back what an earlier line says


class Exclusions:
    """The exclusions of one site."""

    def __init__(self, site: str, entries: Iterable[Exclusion]) -> None:
        self._known: set[tuple[Kind, str]] = set()
        for entry in (entry for entry in entries if entry.site == site):
            change = self._known.discard if entry.lifted else self._known.add
            change((entry.kind, entry.value))

    @classmethod
    def read(cls, out: Path, site: str) -> "Exclusions":
        """Read those of a crawl's folder. Raises `ConfigError` for a broken line: better no crawl than a breach."""
        return cls(site, read_exclusions(out))

    def holds(self, kind: Kind, value: str) -> bool:
        """Whether a value of `Exclusion` is excluded."""
        return (kind, value) in self._known

    def post(self, post_id: int) -> bool:
        """Whether a post must not be visited."""
        return self.holds("post", str(post_id))

    def product(self, product_id: str | None) -> bool:
        """Whether a product must not be kept."""
        return product_id is not None and self.holds("product", product_id)

    def image(self, url: str | None) -> bool:
        """Whether a picture must not be fetched."""
        address = original("", url)
        return address is not None and self.holds("image", address)


def exclude(out: Path, site: str, kind: Kind, values: Iterable[str], reason: str) -> int:
    """Record exclusions that are not recorded yet; returns how many were new.

    Raises:
        ConfigError: an empty reason, a post id that is no number, or an address that is none.
    """
    return _append(out, site, kind, values, reason, lifted=False)


def lift(out: Path, site: str, kind: Kind, values: Iterable[str], reason: str) -> int:
    """Take exclusions back; returns how many there were. Raises `ConfigError` as `exclude` does."""
    return _append(out, site, kind, values, reason, lifted=True)


def _append(out: Path, site: str, kind: Kind, values: Iterable[str], reason: str, *, lifted: bool) -> int:
    if not reason.strip():
        raise ConfigError("reason: must say who asked for it")
    known = Exclusions.read(out, site)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    wanted = dict.fromkeys(_checked(kind, value) for value in values)
    changed = [value for value in wanted if known.holds(kind, value) is lifted]
    lines = [asdict(Exclusion(kind, site, value, reason.strip(), at, lifted)) for value in changed]
    out.mkdir(parents=True, exist_ok=True)
    append_lines(out / FILE_NAME, [json.dumps(line, ensure_ascii=False) for line in lines])
    return len(lines)


def read_exclusions(out: Path) -> list[Exclusion]:
    """Every exclusion of a crawl's folder, oldest first. Raises `ConfigError` for a line that is none."""
    path = out / FILE_NAME
    if not path.exists():
        return []
    entries = []
    lines = path.read_text(encoding="utf-8").split("\n")  # splitlines would also split at U+2028 within a reason
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            entries.append(Exclusion(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path}:{number} is no exclusion: {error}") from error
    return entries


def _checked(kind: Kind, value: str) -> str:
    if kind == "image":
        address = original("", value)
        if address is None:
            raise ConfigError(f"image-url: must be an http or https address, got {value!r}")
        return address
    if kind == "post" and not (value.isascii() and value.isdigit()):
        raise ConfigError(f"post: must be a post id, got {value!r}")
    if not value.strip():
        raise ConfigError(f"{kind}: must not be empty")
    return str(int(value)) if kind == "post" else value.strip()
