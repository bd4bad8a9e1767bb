"""Job `rollback`: return to the version used before, of a model, the dataset or the index, by one click."""

from pathlib import Path
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from assets.resources import DataFolder, ProductIndexes
from curation.errors import CurationError
from curation.versions import VersionError, Versions
from models.promotion import NEXT, ModelVersions
from search.errors import SearchError

Kind = Literal["detector", "classifier", "encoder", "dataset", "index"]
_NEXT: dict[str, str] = {
    **NEXT,
    "dataset": "the next pair_dataset run makes a version of its own; pin this one to keep it",
    "index": "a running search service takes it up by itself",
}


def return_to_version_before(data: Path, kind: Kind, reason: str, index: Any) -> str:
    """Switch back; the version's name. What is materialized next is made of it (`assets.io_manager`).

    Args:
        data: the data folder.
        kind: of what.
        reason: kept in the ledger of a model.
        index: an `IndexStore`, made by a call, since its libraries are heavy.

    Raises:
        VersionError: there is no earlier version, or no reason is given.
        search.errors.IndexMissingError: likewise, of the index.
    """
    if not reason.strip():
        raise VersionError("reason: must say why, got nothing")
    if kind == "index":
        return str(index().rollback())
    if kind in NEXT:
        return ModelVersions(data / "models" / kind).rollback(reason)
    versions = Versions(data / "pair_dataset")
    now = versions.current.name if versions.current else ""
    earlier = [name for name in versions.names if name < now]
    if not earlier:
        raise VersionError(f"{versions.link}: no earlier version to return to")
    versions.activate(earlier[-1])
    return earlier[-1]


class Rollback(dg.Config):
    """What to return to its earlier version, and why."""

    kind: Kind = Field(description="of what")
    reason: str = Field(description="why; kept in the ledger beside the model")


@dg.op(description="Switches to the version before. Reports its name and what to do next.")
def switch_back(context: dg.OpExecutionContext, config: Rollback, data: DataFolder, indexes: ProductIndexes) -> None:
    """Switch, or fail and say why."""
    try:
        name = return_to_version_before(data.path, config.kind, config.reason, lambda: indexes.store(data))
    except (CurationError, SearchError) as error:
        raise dg.Failure(str(error)) from error
    context.add_output_metadata(
        {"kind": config.kind, "in_use": name, "reason": config.reason, "next": _NEXT[config.kind]}
    )


@dg.job(
    description="Return to the version used before, of a model, the dataset or the index.",
    executor_def=dg.in_process_executor,
)
def rollback() -> None:
    """One op."""
    switch_back()
