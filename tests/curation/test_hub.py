"""Pushing a version sends what is new, in one commit, and takes away what is gone."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi

from curation.dataset import write_pair_dataset
from curation.dataset_plan import DatasetRules
from curation.errors import CurationError
from curation.hub import push
from tests.curation.builders import candidate_row, candidates, sha
from tests.curation.hub_stand_in import Hub

# The hub's own client passes its uploads to httpx in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload")


def _publish(root: Path, numbers: range) -> Path:
    table = candidates(root / "in", {"0": [candidate_row(number) for number in numbers]})
    write_pair_dataset(table, root / "pairs", DatasetRules())
    return (root / "pairs").resolve()


def test_push__sends_new_shards_only(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.dataset._SHARD_ROWS", 8)
    api = HfApi(endpoint=hub.url, token="hf_test")
    own = hub.files[".gitattributes"] = b"*.parquet filter=lfs\n"  # every repository has it
    first = push(_publish(tmp_path, range(60)), "me/pairs", api)
    shards = {name for name in first.uploaded if name.endswith(".parquet")}
    assert hub.files.keys() == {*shards, "README.md", "manifest.json", "pictures.jpg", ".gitattributes"}
    assert len(hub.sent) == len(shards) >= 6

    again = push(tmp_path / "pairs", "me/pairs", api)
    assert (again.uploaded, again.deleted, hub.commits) == ([], [], ["Version 0001"])

    hub.sent.clear()
    version = _publish(tmp_path, range(70))
    second = push(version, "me/pairs", api)
    assert len(hub.sent) <= 4  # eight new rows, and the last shards of each split
    assert len(shards & set(second.unchanged)) >= 3
    assert hub.files == {path.name: path.read_bytes() for path in version.iterdir()} | {".gitattributes": own}
    assert hub.commits == ["Version 0001", "Version 0002"]


def test_push__squash_drops_the_history_and_what_only_it_held(tmp_path: Path, hub: Hub) -> None:
    api = HfApi(endpoint=hub.url, token="hf_test")
    push(_publish(tmp_path, range(30)), "me/pairs", api)
    before = set(hub.objects)
    version = _publish(tmp_path, range(20))
    push(version, "me/pairs", api, squash=True)
    assert hub.commits == ["squashed"]
    shards = {path.name: sha(path.read_bytes()) for path in version.glob("*.parquet")}
    assert hub.objects.keys() == set(shards.values()) != before
    assert {name for name in hub.files if name.endswith(".parquet")} == shards.keys()


def test_push__squash_of_a_hub_that_names_large_files_otherwise_deletes_none(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = HfApi(endpoint=hub.url, token="hf_test")
    monkeypatch.setattr(api, "list_lfs_files", lambda *_, **__: [SimpleNamespace(file_oid="sha1 of it")])
    with pytest.raises(CurationError, match="by sha256"):
        push(_publish(tmp_path, range(20)), "me/pairs", api, squash=True)
    assert hub.objects
