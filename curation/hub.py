"""Push a version of the dataset to the Hugging Face hub: new shards only, everything in one commit.

A shard's name ends in a digest of its rows, so a shard whose name is there already is never sent again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from curation.dataset import read_manifest

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did, by file name."""

    uploaded: list[str]
    deleted: list[str]  # shards of earlier versions
    unchanged: list[str]


def push(version: Path, repo: str, api: "HfApi", *, private: bool = True, squash: bool = False) -> Pushed:
    """Make a dataset repository hold exactly this version, in one commit; a reader never sees a part of it.

    Args:
        version: folder of the version.
        repo: `owner/name`; created when it is not there.
        api: client, with the endpoint and the token to use.
        private: of a repository that has to be created.
        squash: drop the repository's history afterwards, so that rows that were taken down are gone from it too.

    Raises:
        huggingface_hub.errors.HfHubHTTPError: the hub refused.
    """
    files = {path.name: path for path in sorted(version.iterdir()) if path.is_file()}
    message = f"Version {read_manifest(version)['version']}"
    pushed = upload(files, repo, api, repo_type="dataset", message=message, private=private)
    if squash:
        api.super_squash_history(repo, repo_type="dataset")
    return pushed


def upload(
    files: Mapping[str, Path],
    repo: str,
    api: "HfApi",
    *,
    repo_type: Literal["dataset", "model"],
    message: str,
    private: bool = True,
) -> Pushed:
    """Make a repository hold these files, in one commit: those that differ are sent, shards of before deleted.

    Args:
        files: by name in the repository.
        repo: `owner/name`; created when it is not there.
        api: client, with the endpoint and the token to use.
        repo_type: of the repository.
        message: of the commit.
        private: of a repository that has to be created.

    Raises:
        huggingface_hub.errors.HfHubHTTPError: the hub refused.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.hf_api import RepoFile

    api.create_repo(repo, repo_type=repo_type, private=private, exist_ok=True)
    tree = api.list_repo_tree(repo, repo_type=repo_type, recursive=True)
    there = {file.path: file for file in tree if isinstance(file, RepoFile)}
    fresh = [name for name, path in files.items() if not _is_there(path, there.get(name))]
    stale = [name for name in there if name.endswith(".parquet") and name not in files]
    adds = [CommitOperationAdd(name, files[name]) for name in fresh]
    deletes = [CommitOperationDelete(name) for name in stale]
    if fresh or stale:
        api.create_commit(repo, [*adds, *deletes], commit_message=message, repo_type=repo_type)
    return Pushed(fresh, stale, sorted(files.keys() - set(fresh)))


def _is_there(path: Path, remote: Any) -> bool:
    """Whether the hub holds this very file: a shard by name and size, a large file by sha256, others by git blob id."""
    if remote is None or remote.size != path.stat().st_size:
        return False
    if path.suffix == ".parquet":
        return True
    if remote.lfs:
        with path.open("rb") as file:
            return bool(remote.lfs.sha256 == hashlib.file_digest(file, "sha256").hexdigest())
    data = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return bool(remote.blob_id == blob)
