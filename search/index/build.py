"""Make a version of the index, whole or from another: write aside what is new, measure recall, swap in."""

import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from curation.tables import ShardedTable, fingerprint, write_json
from search.errors import IndexBuildError, IndexMissingError
from search.index.config import IndexConfig
from search.index.manifest import DEAD, FORMAT, MANIFEST, IndexManifest
from search.index.products import Rows, checked_rows, new_rows
from search.index.quality import counted, measured, shortfalls
from search.index.segment import flush, read_segment, write_segment
from search.index.store import Index
from search.index.versions import activate, segment_folder, sweep, version_folder, writing

_NONE: Final = np.zeros(0, np.int64)


def build_index(
    embeddings: ShardedTable,
    out: Path,
    encoder_version: str,
    preprocessing: Mapping[str, Any] | None = None,
    config: IndexConfig | None = None,
) -> IndexManifest:
    """Build a new version of the index below `out` and point `out/current` to it.

    The new version replaces the old in one rename, and only when it passed its checks; the old one stays for
    `rollback`. Nothing is built when the same version is in place already, and undamaged.

    Args:
        embeddings: rows of `curation.schemas.EMBEDDINGS`.
        out: folder of the index.
        encoder_version: the version that every row must carry.
        preprocessing: of that encoder, as its checkpoint says.
        config: thresholds.

    Raises:
        IndexBuildError: no row; a row of another encoder, dimension or category; a vector that is not of unit length;
            a product without id or listed twice; or recall under what `config` promises.
    """
    config = config or IndexConfig()
    version = fingerprint([FORMAT, encoder_version, embeddings.fingerprint, config.model_dump()])
    with writing(out):
        with suppress(IndexMissingError):  # it was never built, or is damaged
            made = Index.open_version(out, version).manifest
            activate(out, version)
            return made
        draft = IndexManifest(
            version=version,
            data_fingerprint=embeddings.fingerprint,
            encoder_version=encoder_version,
            preprocessing=dict(preprocessing or {}),
            config=config,
            created_at=datetime.now(UTC),
        )
        return _write_whole(out, draft, checked_rows(embeddings, encoder_version))


def upsert_products(root: Path, embeddings: ShardedTable) -> IndexManifest:
    """Add the products of a table, or put them in place of those with the same ids, as a new version; others stay.

    Only what is new is written, until the index's `config` says that too much has been. A table that changes nothing
    makes no version. Killed at any moment, it leaves the old version in place; repeat it then.

    Args:
        root: folder of the index.
        embeddings: rows of `curation.schemas.EMBEDDINGS`, of the index's own encoder.

    Raises:
        IndexMissingError: there is no index to add to.
        IndexBuildError: as `build_index` does.
    """
    with writing(root):
        index = Index.open(root)
        made = index.manifest
        parts = [
            new_rows(rows, index.products(rows.ids), index.vectors_of)
            for rows in checked_rows(embeddings, made.encoder_version, made.dim)
        ]
        parts = [rows for rows in parts if len(rows.vectors)]
        if not parts:
            return made
        replaced = [id for rows in parts for id in rows.ids if id in index]  # noqa: A001
        return _update(root, index, "upsert", embeddings.fingerprint, replaced, parts)


def delete_products(root: Path, ids: Sequence[str]) -> IndexManifest:
    """Leave products out of a new version; ids that it does not hold are passed over. `rollback` brings them back.

    Raises:
        IndexMissingError: there is no index.
        IndexBuildError: nothing would be left.
    """
    with writing(root):
        index = Index.open(root)
        gone = sorted({id for id in ids if id in index})  # noqa: A001
        if not gone:
            return index.manifest
        if len(gone) == index.manifest.rows:
            raise IndexBuildError("ids: they are all that the index holds; build another one instead")
        return _update(root, index, "delete", gone, gone, [])


def write_without(root: Path, rows: npt.NDArray[np.int64]) -> IndexManifest:
    """Write the version in use anew without rows of these numbers, and without what is dead. Take the lock.

    Raises:
        IndexMissingError: it is damaged.
        IndexBuildError: nothing would be left, or recall falls under what is promised.
    """
    index = Index.open(root)
    draft = index.manifest.followed("delete", ["for good", rows.tolist()])  # never the name of one that only buries
    return _write_whole(root, draft.model_copy(update={"made_by": "merge"}), index.read(rows))


def _update(
    root: Path, index: Index, what: Literal["upsert", "delete"], cause: object, gone: Sequence[str], parts: list[Rows]
) -> IndexManifest:
    """Make the version that follows another: without the products `gone`, and with `parts`."""
    old = index.manifest
    config = old.config
    draft = old.followed(what, cause)
    without = index.rows_of(gone)
    added = sum(len(rows.vectors) for rows in parts)
    left = old.rows - len(without) + added
    beside = index.beside + added + len(without)  # all that makes a search of several parts, or passes over dead rows
    if beside > config.merge_share * left or len(old.segments) + bool(parts) > config.merge_segments:
        whole = chain(index.read(without), parts)
        return _write_whole(root, draft.model_copy(update={"made_by": "merge"}), whole)
    touched = {index.product(id).category for id in gone}  # noqa: A001
    touched.update(name for rows in parts for name in rows.products.column("category").to_pylist())
    with _aside(root, draft.version, parts, config):
        segments = [*old.segments, *([draft.version] if parts else [])]
        dead = np.sort(np.concatenate([index.dead, without]))
        return _publish(root, draft.model_copy(update={"segments": segments}), dead, touched)


def _write_whole(root: Path, draft: IndexManifest, rows: Iterable[Rows]) -> IndexManifest:
    """A version of one segment, in which nothing is dead."""
    with _aside(root, draft.version, rows, draft.config):
        return _publish(root, draft.model_copy(update={"segments": [draft.version]}), _NONE, None)


@contextmanager
def _aside(root: Path, name: str, rows: Iterable[Rows], config: IndexConfig) -> Iterator[None]:
    """Write a segment where no version reaches it yet, if there are rows; what comes to nothing is removed."""
    folder = segment_folder(root, name)
    temporary = folder.with_name(f".{name}.{uuid.uuid4().hex}.tmp")
    try:
        if rows:
            write_segment(temporary, rows, config)
            flush(temporary)
            shutil.rmtree(folder, ignore_errors=True)  # of a writer that was killed before it made the version
            temporary.rename(folder)
        yield
    except BaseException:
        sweep(root)
        raise


def _publish(
    root: Path, draft: IndexManifest, dead: npt.NDArray[np.int64], touched: Collection[str] | None
) -> IndexManifest:
    """Count and measure what a draft's segments hold; make it the current version if it keeps the promise."""
    config = draft.config
    segments = [read_segment(segment_folder(root, name), config) for name in draft.segments]
    index = Index(counted(draft, segments, dead), segments, dead)
    manifest = index.manifest.model_copy(update=measured(index, touched))
    if manifest.lowest_recall < config.promised_recall:
        low = shortfalls(manifest, config.promised_recall)
        raise IndexBuildError(f"recall@10 must be at least {config.promised_recall}, got {low}")
    folder = version_folder(root, manifest.version)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir(parents=True)
    np.save(temporary / DEAD, dead)
    write_json(temporary / MANIFEST, manifest.model_dump(mode="json"))
    flush(temporary)
    shutil.rmtree(folder, ignore_errors=True)  # the same change of the same version, which was rolled back
    temporary.rename(folder)
    activate(root, manifest.version)
    return manifest
