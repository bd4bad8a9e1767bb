"""Take-down across the rooms: exclusions, staged crawls, tables, dataset versions, index and drawn pictures."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

from assets.remembered import forget
from crawlers.errors import ConfigError
from crawlers.exclusions import Exclusions, exclude
from crawlers.exclusions import lift as lift_exclusions
from crawlers.pages.base import original
from crawlers.removal import forget_staged
from curation.dedup import DuplicateIndex
from curation.places import tables_of
from curation.proof import search_everywhere
from curation.purge import purge_notes, purge_tables, purge_versions
from curation.tables import write_json
from curation.takedown import Kind, Removal, also_seen, find, names_taken_down, record, recorded, withdraw
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
    if kind == "product" and any(value.startswith(f"{site}-") for value in named):
        named = _own_ids(named, site, set(named) - set(find(data, site, kind, named)[1]))
    crawl = data / "crawl"
    exclude(crawl, site, kind, [value for value in named if kind != "image" or "://" in value], reason)
    removal, unknown = find(data, site, kind, named)
    digests = {value for value in unknown if kind == "image" and "://" not in value}
    removal = replace(removal, pictures=removal.pictures | digests)  # if a crawl brings them, the proof names them
    alike = also_seen(data, removal)
    for other in _sites(crawl) if kind == "image" else ():  # left alone wherever it was seen
        exclude(crawl, other, kind, removal.urls, reason)
    record(data, removal, reason, named if kind == "image" else ())
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


def lift(data: Path, site: str, kind: Kind, values: Sequence[str], reason: str) -> dict[str, Any]:
    """Take take-downs of posts, products or pictures back: they are kept out no longer. What was removed stays so.

    Repeating it finishes one that was interrupted.

    Returns:
        What is free again: ids, or addresses and digests of pictures.

    Raises:
        crawlers.errors.ConfigError: nothing by such a name is kept out, or there is no reason.
    """
    crawl = data / "crawl"
    excluded, taken_down = Exclusions.read(crawl, site), names_taken_down(data)
    prefix = "" if kind == "image" else f"{site}/"
    named = [_as_stored(kind, value) for value in values]

    def is_out(value: str) -> bool:
        return f"{prefix}{value}" in taken_down or excluded.holds(kind, value)

    if kind == "product":
        named = _own_ids(named, site, set(filter(is_out, named)))
    if unknown := [value for value in named if not is_out(value)]:
        raise ConfigError(f"{kind}: nothing of {site} is kept out by the name {', '.join(unknown)}")
    names = [f"{prefix}{value}" for value in named]
    free = set(named)
    if kind == "image":  # with every address at which they were found, on every site
        free = (free | recorded(data).urls) - recorded(data, withdrawn=names).urls
    for other in {site, *_sites(crawl)} if kind == "image" else (site,):
        lift_exclusions(crawl, other, kind, [value for value in free if kind != "image" or "://" in value], reason)
    withdraw(data, names, reason)
    write_json(data / FINISHED, {"at": datetime.now(UTC).isoformat()})
    return {kind: sorted(free)}


def found_something(done: Mapping[str, Any]) -> bool:
    """Whether a take-down found anything of what it named, or removed what an interrupted one had left."""
    named = next(len(done[kind]) for kind in get_args(Kind) if kind in done)
    removed = any(done[key] for key in ("removed_rows", "staged_rows", "index_versions"))
    return removed or len(done["never_crawled"]) < named


def verdict(done: Sequence[Mapping[str, Any]], proof: Mapping[str, Any]) -> list[str]:
    """A take-down's answer in a few lines, for whoever reads no JSON."""
    files = sum(proof["files"].values())
    told = f"proof: {files} files searched, nothing of {proof['posts']} posts, {proof['products']} products and "
    lines = [f"{told}{proof['pictures']} pictures is left"]
    if left := proof["still_there"]:
        lines = [f"proof: {files} files searched, STILL THERE in {', '.join(left)}"]
    if not done:
        return lines
    rows = sum(sum(one["removed_rows"].values()) + one["staged_rows"] for one in done)
    indexes = sum(len(one["index_versions"]) for one in done)
    drawn = sum(one["drawn_pictures"] for one in done)
    alike = sorted({post for one in done for post in one["near_duplicates_in"]})
    todo = ["restart the search service", "delete Dagster's old runs", "push the dataset again with --squash"]
    todo += ["train the models again"] if any(one["models_trained_before"] for one in done) else []
    todo += [f"look at posts that show the same or nearly: {', '.join(alike)}"] if alike else []
    removed = f"removed: {rows} rows, {drawn} drawn pictures; indexes written anew or deleted: {indexes}"
    return [removed, *lines, f"still to do: {'; '.join(todo)}"]


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


def _own_ids(products: Sequence[str], site: str, known: Collection[str]) -> list[str]:
    """Ids of products as their site has them: the search service puts the site before each, as in `kream-12031`."""
    return [value if value in known else value.removeprefix(f"{site}-") for value in products]


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
