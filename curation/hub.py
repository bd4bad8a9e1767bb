"""Push a version of the dataset to the Hugging Face hub: new shards only, everything in one commit.

A shard's name ends in a digest of its rows, so a shard whose name is there already is never sent again.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from curation.errors import CurationError
from curation.places import read_manifest

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did, by file name."""

    uploaded: list[str]
    deleted: list[str]  # shards of earlier versions
    unchanged: list[str]


@contextmanager
def reached(api: "HfApi") -> Iterator[None]:
    """Raise `CurationError` for a bad name and where the hub does not answer; a refusal is an `OSError` already."""
    from huggingface_hub.errors import HFValidationError, HTTPError  # type: ignore[attr-defined]  # httpx's, or httpx2's

    try:
        yield
    except HFValidationError as error:
        raise CurationError(f"repo: {error}") from error
    except HTTPError as error:
        if isinstance(error, OSError):
            raise
        raise CurationError(f"{api.endpoint} does not answer: {error}") from error


def push(version: Path, repo: str, api: "HfApi", *, private: bool = True, squash: bool = False) -> Pushed:
    """Make a dataset repository hold exactly this version, in one commit; a reader never sees a part of it.

    Args:
        version: folder of the version.
        repo: `owner/name`; created when it is not there.
        api: client, with the endpoint and the token to use.
        private: of a repository that has to be created.
        squash: drop the repository's history afterwards, and the large files that only it held, so that rows that were
            taken down are gone from it too.

    Raises:
        huggingface_hub.errors.HfHubHTTPError: the hub refused.
        CurationError: the hub does not name its large files by sha256, so that nobody can tell which to delete.
    """
    files = {path.name: path for path in sorted(version.iterdir()) if path.is_file()}
    message = f"Version {read_manifest(version)['version']}"
    pushed = upload(files, repo, api, repo_type="dataset", message=message, private=private)
    if squash:
        api.super_squash_history(repo, repo_type="dataset")
        _delete_unused(repo, api)
    return pushed


def _delete_unused(repo: str, api: "HfApi") -> None:
    """Delete the large files that no file of the repository is: the hub keeps them, whether or not a commit does."""
    used = {file.lfs.sha256 for file in _tree(repo, api, "dataset").values() if file.lfs}
    stored = list(api.list_lfs_files(repo, repo_type="dataset"))
    if missing := used - {file.file_oid for file in stored}:
        raise CurationError(f"{repo}: large files are to be deleted by sha256, and the hub lists none of {missing}")
    api.permanently_delete_lfs_files(repo, [file for file in stored if file.file_oid not in used], repo_type="dataset")


def _tree(repo: str, api: "HfApi", repo_type: Literal["dataset", "model"]) -> dict[str, Any]:
    """Files of a repository as it is now, by name."""
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(repo, repo_type=repo_type, recursive=True)
    return {file.path: file for file in tree if isinstance(file, RepoFile)}


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

    api.create_repo(repo, repo_type=repo_type, private=private, exist_ok=True)
    there = _tree(repo, api, repo_type)
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
