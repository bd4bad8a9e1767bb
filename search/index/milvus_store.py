"""Versions of an index on Milvus: built as a collection each, updated in place without their readers noticing.

The pointer to the current and the previous version is one document, so that replacing it is one step; the manifests are
documents beside it.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

from pydantic import ValidationError
from pymilvus import DataType, MilvusClient

from curation.tables import ShardedTable, fingerprint
from search.errors import IndexBuildError, IndexMissingError
from search.index.config import IndexConfig
from search.index.manifest import FORMAT, IndexManifest
from search.index.milvus import SECONDS, MilvusIndex, any_of, reaching
from search.index.milvus_collection import MilvusCollection, measured
from search.index.products import Rows, checked_rows, new_rows
from search.index.quality import shortfalls

_POINTER: Final = "pointer"
_VERSION: Final = "[0-9a-f]{20}"  # names of versions, as `fingerprint` makes them
_TEXT: Final = 65_535  # bytes of a string, Milvus' limit


class MilvusStore:
    """An index on one Milvus: `search.protocols.IndexStore`. One process at a time may write."""

    def __init__(self, client: MilvusClient, name: str = "fashion", config: IndexConfig | None = None) -> None:
        """Use a Milvus.

        Args:
            client: connected.
            name: what its collections begin with.
            config: `exact_limit` and `promised_recall` are used.
        """
        self._client = client
        self._name = name
        self._config = config or IndexConfig()
        self._documents = f"{name}_versions"
        with reaching():
            if not client.has_collection(self._documents):
                self._create_documents()

    @classmethod
    def connect(cls, uri: str, name: str = "fashion", config: IndexConfig | None = None) -> Self:
        """Connect to a server, or open a file of Milvus Lite. Raises `IndexMissingError`."""
        with reaching():
            return cls(MilvusClient(uri), name, config)

    def current(self) -> str | None:
        """Name of the version in use."""
        return self._pointer()["current"]

    def open(self) -> MilvusIndex:
        """Open the version in use. Raises `IndexMissingError`."""
        version = self.current()
        if version is None:
            raise IndexMissingError(f"{self._name}: Milvus holds no index; materialize search_index first")
        return MilvusIndex(self._client, self._manifest(version))

    def versions(self) -> list[IndexManifest]:
        """Versions that can be returned to, oldest first."""
        found = []
        for name in filter(None, self._pointer().values()):
            with suppress(IndexMissingError):  # of an older format
                found.append(self._manifest(name))
        return sorted(found, key=lambda manifest: manifest.created_at)

    def rollback(self) -> str:
        """Return to the version before. Raises `IndexMissingError`, also where it is of another format."""
        pointer = self._pointer()
        version = pointer["previous"]
        if version is None:
            raise IndexMissingError(f"{self._name}: no earlier version to return to")
        self._manifest(version)
        self._put(_POINTER, {"current": version, "previous": pointer["current"]})
        return version

    def build(
        self, embeddings: ShardedTable, encoder_version: str, preprocessing: Mapping[str, Any] | None = None
    ) -> IndexManifest:
        """Make a version of a whole catalog. Raises `IndexBuildError`."""
        version = fingerprint([FORMAT, encoder_version, embeddings.fingerprint, self._config.model_dump()])
        collection = MilvusCollection(self._client, f"{self._name}_{version}")
        if version in self._pointer().values() and collection.exists():
            self._activate(version)
            return self._manifest(version)
        draft = IndexManifest(
            version=version,
            data_fingerprint=embeddings.fingerprint,
            encoder_version=encoder_version,
            preprocessing=dict(preprocessing or {}),
            config=self._config,
            segments=[collection.name],
            created_at=datetime.now(UTC),
        )
        return self._fill(draft, lambda: checked_rows(embeddings, encoder_version))

    def upsert(self, embeddings: ShardedTable) -> IndexManifest:
        """Add or replace products. Raises `IndexBuildError`, `IndexMissingError`."""
        index = self.open()
        made = index.manifest
        rows = checked_rows(embeddings, made.encoder_version, made.dim)
        parts = [new_rows(part, index.products(part.ids), index.vectors_of) for part in rows]
        parts = [part for part in parts if len(part.vectors)]
        if not parts:
            return made
        replaced = [id for part in parts for id in part.ids]  # noqa: A001
        return self._update(index, "upsert", embeddings.fingerprint, replaced, parts)

    def delete(self, ids: Sequence[str]) -> IndexManifest:
        """Leave products out. Raises `IndexBuildError`, `IndexMissingError`."""
        index = self.open()
        gone = sorted(row["id"] for row in index.rows(sorted(set(ids)), ["id"]))
        if not gone:
            return index.manifest
        if len(gone) == index.manifest.rows:
            raise IndexBuildError("ids: they are all that the index holds; build another one instead")
        return self._update(index, "delete", gone, gone, [])

    def remove(self, products: Collection[str], pictures: Collection[str]) -> dict[str, int]:
        """Take products out for good: what is left in the version in use becomes a collection of its own.

        Raises `IndexBuildError`, `IndexMissingError`.
        """
        made = self.versions()
        with reaching():
            names = {manifest.segments[0] for manifest in made}
            held = {name: MilvusCollection(self._client, name).holds(products, pictures) for name in names}
        holding = {old.version: count for old in made if (count := held[old.segments[0]])}
        if self.current() in holding:
            index = self.open()
            draft = index.manifest.followed("delete", ["for good", sorted(products), sorted(pictures)])
            made_by = {"made_by": "merge", "segments": [f"{self._name}_{draft.version}"], "state": 0}
            self._fill(draft.model_copy(update=made_by), lambda: index.read(products, pictures))
        pointer = self._pointer()
        if pointer["previous"] in holding:
            self._put(_POINTER, {"current": pointer["current"], "previous": None})
            self._sweep()
        return holding

    def _fill(self, draft: IndexManifest, rows: Callable[[], Iterable[Rows]]) -> IndexManifest:
        """Make the collection of a draft from rows, which are read twice, and publish it if it keeps the promise."""
        collection = MilvusCollection(self._client, draft.segments[0])
        with reaching():
            try:
                dim, queries = collection.create(rows(), draft.config)
                counted = self._counted(draft.model_copy(update={"dim": dim}))
                manifest = measured(self._client, counted, rows(), queries)
                self._check(manifest)
            except IndexBuildError:
                collection.drop()
                raise
            return self._publish(manifest)

    def _update(
        self,
        index: MilvusIndex,
        what: Literal["upsert", "delete"],
        cause: object,
        gone: Sequence[str],
        parts: Sequence[Rows],
    ) -> IndexManifest:
        old = index.manifest
        collection = MilvusCollection(self._client, old.segments[0])
        if any(made.segments == old.segments and made.state > old.state for made in self.versions()):
            self._put(_POINTER, {"current": old.version, "previous": None})  # it was left, and is now overwritten
        draft = old.followed(what, cause).model_copy(update={"state": old.state + 1})
        with reaching():
            collection.undo(old.state)
            collection.insert(parts, draft.state)
            collection.bury(index, gone, draft.state)
            return self._publish(self._counted(draft))

    def _counted(self, manifest: IndexManifest) -> IndexManifest:
        counts = MilvusCollection(self._client, manifest.segments[0]).counts(manifest.state)
        return manifest.model_copy(update={"counts": counts, "rows": sum(counts.values())})

    def _check(self, manifest: IndexManifest) -> None:
        promised = manifest.config.promised_recall
        if manifest.lowest_recall < promised:
            raise IndexBuildError(f"recall@10 must be at least {promised}, got {shortfalls(manifest, promised)}")

    def _publish(self, manifest: IndexManifest) -> IndexManifest:
        self._put(manifest.version, manifest.model_dump(mode="json"))
        self._activate(manifest.version)
        return manifest

    def _activate(self, version: str) -> None:
        pointer = self._pointer()
        if pointer["current"] != version:
            self._put(_POINTER, {"current": version, "previous": pointer["current"]})
        self._sweep()

    def _sweep(self) -> None:
        """Remove what no version needs any more, whoever left it: manifests, collections, and dead rows."""
        kept = self.versions()
        keys = [_POINTER, *(manifest.version for manifest in kept)]
        self._client.delete(self._documents, filter=f"not ({any_of('key', keys)})")
        oldest: dict[str, int] = {}
        for manifest in kept:
            (name,) = manifest.segments
            oldest[name] = min(manifest.state, oldest.get(name, manifest.state))
        for name in self._client.list_collections():
            if name in oldest:
                MilvusCollection(self._client, name).prune(oldest[name])
            elif re.fullmatch(f"{re.escape(self._name)}_{_VERSION}", name):
                MilvusCollection(self._client, name).drop()

    def _create_documents(self) -> None:
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("text", DataType.VARCHAR, max_length=_TEXT)
        schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)  # a collection must have vectors
        parameters = self._client.prepare_index_params()
        parameters.add_index("unused", index_type="FLAT", metric_type="L2")
        self._client.create_collection(
            self._documents, schema=schema, index_params=parameters, consistency_level="Strong"
        )

    def _put(self, key: str, value: object) -> None:
        with reaching():
            text = json.dumps(value, ensure_ascii=False)
            self._client.upsert(self._documents, [{"key": key, "text": text, "unused": [0.0, 0.0]}])

    def _document(self, key: str) -> Any:
        with reaching():
            found = self._client.get(self._documents, ids=[key], output_fields=["text"], timeout=SECONDS)
        return json.loads(found[0]["text"]) if found else None

    def _pointer(self) -> dict[str, str | None]:
        return self._document(_POINTER) or {"current": None, "previous": None}

    def _manifest(self, version: str) -> IndexManifest:
        document = self._document(version)
        if document is None:
            raise IndexMissingError(f"{self._name}: Milvus has no manifest of version {version}")
        try:
            return IndexManifest.model_validate(document)
        except ValidationError as error:
            told = f"{self._name}: the manifest of version {version} is not of format {FORMAT}: {error}"
            raise IndexMissingError(told) from error
