"""Job `upkeep`: old runs and old versions go, and what the disk holds is reported."""

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import Field

from assets.pairs import LONGEST_RUN_S
from assets.resources import DataFolder
from curation.versions import Versions
from models.promotion import KINDS, ModelVersions

_ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_BATCH: Final = 500
_MIB: Final = 2**20


def purge_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Delete runs that ended, with events and logs, when they were last touched before a time; the ids of what went.

    A run that holds the latest materialization of an asset, and with it its checks, stays: the UI still shows it.
    """
    spared = {
        event.run_id for event in map(instance.get_latest_materialization_event, instance.all_asset_keys()) if event
    }
    wanted = dg.RunsFilter(statuses=_ENDED, updated_before=before)
    gone: list[str] = []
    cursor: str | None = None
    while records := instance.get_run_records(wanted, limit=_BATCH, cursor=cursor):
        cursor = records[-1].dagster_run.run_id
        old = [record.dagster_run.run_id for record in records if record.dagster_run.run_id not in spared]
        gone += old
    for run_id in gone:  # not before all are listed: a cursor is a run
        _delete(instance, run_id)
    return gone


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run, and the files that Dagster leaves of it: captured output, and the SQLite file of its events."""
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    events: Any = instance.event_log_storage
    if hasattr(events, "path_for_shard"):  # Postgres has no files
        Path(events.path_for_shard(run_id)).unlink(missing_ok=True)


def expire_versions(data: Path, datasets: int, models: int) -> dict[str, list[str]]:
    """Remove old versions, never the one in use, a pinned one or the one to return to; what went of what.

    Of the dataset, none goes that a training may still read. The index keeps the version in use and the one before by
    itself.
    """
    return {
        "pair_dataset": Versions(data / "pair_dataset").expire(datasets, older_than=LONGEST_RUN_S),
        **{kind: ModelVersions(data / "models" / kind).expire_old(models) for kind in KINDS},
    }


def disk_usage(data: Path) -> dict[str, int]:
    """Bytes on disk of each folder of the data folder; a shared file counts once, where it is met first.

    What a crawl or a stage removes meanwhile counts nothing.
    """
    seen: set[int] = set()
    sizes: dict[str, int] = {}
    for folder in sorted(path for path in data.iterdir() if path.is_dir() and not path.is_symlink()):
        sizes[folder.name] = 0
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                with suppress(FileNotFoundError):
                    stat = (Path(parent) / name).lstat()
                    sizes[folder.name] += 0 if stat.st_ino in seen else 512 * stat.st_blocks
                    seen.add(stat.st_ino)
    return sizes


class Upkeep(dg.Config):
    """How long things are kept, whatever the runs that made them were told."""

    run_days: int = Field(90, ge=1, description="runs and their events are deleted after so many days")
    keep_datasets: int = Field(
        10, ge=1, description="newest versions of the dataset that stay, besides those in use within three days"
    )
    keep_models: int = Field(5, ge=1, description="newest versions of each model that stay")


@dg.op(
    description="Deletes old runs with their logs, and old versions; reports what went, and the size of every folder."
)
def clean_up(context: dg.OpExecutionContext, config: Upkeep, data: DataFolder) -> None:
    """Delete and report."""
    runs = purge_runs(context.instance, datetime.now(UTC) - timedelta(days=config.run_days))
    expired = expire_versions(data.path, config.keep_datasets, config.keep_models)
    sizes = {f"{name}_mib": round(size / _MIB, 1) for name, size in disk_usage(data.path).items()}
    gone = {f"{name}_expired": ", ".join(names) or "none" for name, names in expired.items()}
    context.add_output_metadata({"runs_deleted": len(runs), **gone, **sizes})


@dg.job(
    description="Delete old runs with their events, expire old versions, report the size of every folder.",
    executor_def=dg.in_process_executor,
)
def upkeep() -> None:
    """One op."""
    clean_up()
