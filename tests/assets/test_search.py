"""What the index hands on: something that tells whoever follows which version it is, wherever the index lies."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.io_manager import ReferenceIOManager, adopt, reference_of
from assets.remembered import identity
from assets.resources import DataFolder, ProductIndexes
from assets.search import search_index
from curation.tables import ShardedTable, write_json
from search.index.manifest import IndexManifest


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """An encoder and vectors, as if they were made."""
    write_json(tmp_path / "encoder" / "manifest.json", {"version": "e1", "preprocessing": {}})
    adopt(tmp_path, "encoder", tmp_path / "encoder")
    vectors = {"table": str(tmp_path / "search" / "catalog_embeddings"), "prefix": ""}
    write_json(reference_of(tmp_path, dg.AssetKey("catalog_embeddings")), vectors)
    return DataFolder(root=str(tmp_path))


def _handed_on(data: DataFolder, indexes: ProductIndexes) -> Any:
    resources = {"data": data, "indexes": indexes, "io_manager": ReferenceIOManager(data=data)}
    upstream = [dg.AssetSpec("encoder"), dg.AssetSpec("catalog_embeddings")]
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([search_index, *upstream], resources=resources, instance=instance).success
    with dg.build_input_context(asset_key=dg.AssetKey("search_index")) as context:
        return resources["io_manager"].load_input(context)


class _Store:
    """An index that lies elsewhere, and of which each build makes another version."""

    def __init__(self) -> None:
        self._built = 0

    def build(self, embeddings: ShardedTable, encoder_version: str, _: object) -> IndexManifest:
        self._built += 1
        made_from = {"data_fingerprint": embeddings.fingerprint, "encoder_version": encoder_version}
        return IndexManifest(version=f"v{self._built}", created_at=datetime.now(UTC), **made_from)


def test_search_index__on_milvus_tells_which_version_it_is(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store()
    monkeypatch.setattr(ProductIndexes, "store", lambda *_: store)
    indexes = ProductIndexes(milvus="http://127.0.0.1:19530")
    assert identity(_handed_on(data, indexes)) != identity(_handed_on(data, indexes))
