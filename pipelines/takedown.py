"""Take-down across the rooms: exclusions, staged crawls, tables, dataset versions, index and drawn pictures."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from assets.remembered import forget
from crawlers.errors import ConfigError
from crawlers.exclusions import exclude
from crawlers.pages.base import original
from crawlers.removal import forget_staged
from curation.dedup import DuplicateIndex
from curation.places import tables_of
from curation.proof import search_everywhere
from curation.purge import purge_notes, purge_tables, purge_versions
from curation.tables import write_json
from curation.takedown import Kind, Removal, also_seen, find, record, recorded
from curation.versions import Versions
from pipelines.decisions import FINISHED

_SHA256: Final = re.compile("[0-9a-f]{64}")
_DRAWN: Final = ("examples", "search/search_report")
"""Folders of pictures drawn from many others: nobody can tell what is in one, so all go until the next run."""


def take_down(
    data: Path, site: str, kind: Kind, values: Sequence[str], reason: str, milvus: str = ""
) -> dict[str, Any]:
    """Remove posts, products or pictures of one site from a data folder and its index, and keep them out.

    What keeps them out is written first, so an interrupted take-down is finished by repeating it.

    Returns:
        What was removed where, what was never crawled, posts that show a near-duplicate, and models that have seen it.

    Raises:
        crawlers.errors.ConfigError: a value is no id, address or sha256.
        crawlers.errors.BlockLockedError: a crawl is running; stop it first.
        search.errors.IndexBuildError: what is left makes no index.
        search.errors.IndexMissingError: the index is damaged, or Milvus cannot be reached.
    """
    named = [_as_stored(kind, value) for value in values]
    crawl = data / "crawl"
    exclude(crawl, site, kind, [value for value in named if kind != "image" or "://" in value], reason)
    removal, unknown = find(data, site, kind, named)
    digests = {value for value in unknown if kind == "image" and "://" not in value}
    removal = replace(removal, pictures=removal.pictures | digests)  # if a crawl brings them, the proof names them
    alike = also_seen(data, removal)
    for other in _sites(crawl) if kind == "image" else ():  # left alone wherever it was seen
        exclude(crawl, other, kind, removal.urls, reason)
    record(data, removal, reason)
    removal = recorded(data)  # also of earlier take-downs that were interrupted
    staged = sum(_forget_staged(crawl, other, removal) for other in _sites(crawl))
    purged = purge_tables(data, removal)
    purged += purge_versions(Versions(data / "pair_dataset"), removal)
    purged += purge_notes(data, removal)
    DuplicateIndex(tables_of(data) / "dedup").update()  # of pictures that were first seen there, and are elsewhere too
    drawn = _purge_drawn(data, removal)
    done = {
        kind: named,
        "never_crawled": unknown,
        "removed_rows": {place.place: place.rows for place in purged},
        "staged_rows": staged,
        "index_versions": _purge_index(data, removal, milvus),
        "drawn_pictures": drawn,
        "near_duplicates_in": alike,
        "models_trained_before": _models(data),
    }
    write_json(data / FINISHED, {"at": datetime.now(UTC).isoformat()})
    return done


def prove(data: Path) -> dict[str, Any]:
    """Search the data folder for everything that was ever taken down."""
    removal = recorded(data)
    places = search_everywhere(data, removal)
    how = Counter[str]()
    for place in places:
        how[place.how] += place.files
    return {
        "posts": len(removal.posts),
        "products": len(removal.products),
        "pictures": len(removal.pictures),
        "files": dict(how),
        "still_there": {f"{place.folder} ({place.how})": place.found for place in places if place.found},
        "places": [asdict(place) for place in places],
        "not_searched": "outside the folder: Dagster's event log (contact sheets), caches, pushed datasets, Milvus",
    }


def _as_stored(kind: Kind, value: str) -> str:
    """As the tables have it: ids without leading zeros, addresses without query; a wrong id is refused later."""
    if kind == "image":
        digest = value.strip().lower()
        if not (stored := digest if _SHA256.fullmatch(digest) else original("", value)):
            raise ConfigError(f"image: must be an address that begins with http, or a sha256, got {value!r}")
        return stored
    return str(int(value)) if kind == "post" and value.isascii() and value.isdigit() else value


def _sites(crawl: Path) -> list[str]:
    """Every site of which anything was crawled: posts or a catalog, complete or staged."""
    folders = ("ledger", "catalog", "staging", "staging/catalog")
    return sorted({path.name for folder in folders for path in (crawl / folder).glob("*")} - {"catalog"})


def _forget_staged(crawl: Path, site: str, removal: Removal) -> int:
    posts = [int(key.removeprefix(f"{site}/")) for key in removal.posts if key.startswith(f"{site}/")]
    products = [key.removeprefix(f"{site}/") for key in removal.products if key.startswith(f"{site}/")]
    return forget_staged(crawl, site, posts=posts, products=products, urls=removal.urls)


def _purge_index(data: Path, removal: Removal, milvus: str) -> dict[str, int]:
    from search.index.stores import open_store

    products = {key.replace("/", "-", 1) for key in removal.products}
    return open_store(data / "index", milvus).remove(products, removal.pictures)


def _purge_drawn(data: Path, removal: Removal) -> int:
    paths = [path for folder in _DRAWN for path in (data / folder).glob("*.jpg")] if removal.pictures else []
    for path in paths:
        path.unlink()
    return len(paths) + forget(data)


def _models(data: Path) -> list[str]:
    """Checkpoints that were trained while it was there: only training them again makes them forget."""
    return sorted(path.parent.relative_to(data).as_posix() for path in (data / "models").rglob("manifest.json"))
