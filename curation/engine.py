"""The engine: one function maps the shards of tables to the shards of another, incrementally.

A stage is a `Step`: a class that turns the rows of its input shards into rows of its output shard. `map_shards` skips a
shard whose output was made from the same inputs, step version and arguments; it writes under a temporary name and
renames; and it keeps going when one shard fails. So every stage can be stopped, killed and resumed.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import pyarrow as pa

from curation.errors import StepError
from curation.tables import Shard, ShardedTable, fingerprint, read_shard, write_shard

log = logging.getLogger(__name__)

KEPT: Final = "kept"
FAILED: Final = "failed"


class Step(Protocol):
    """Rows in, rows out. Built once per run with the arguments of `map_shards`, then called once per shard.

    While it yields, a step adds to `counts`: `kept`, `failed`, and one name per reason for what it dropped.
    """

    version: ClassVar[str]
    """Raise it whenever the same input would give other rows."""
    schema: ClassVar[pa.Schema]

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch | pa.Table]:
        """Yield the output rows made from the shards of one name, one shard per input table."""
        ...


@dataclass(frozen=True)
class MapReport:
    """What one `map_shards` call did."""

    table: ShardedTable
    made: int  # shards
    skipped: int  # shards whose output was up to date
    failed: Mapping[str, str] = field(default_factory=dict)  # shard name → error

    @property
    def counts(self) -> dict[str, int]:
        """Row counts by reason over all shards, also those made by earlier runs."""
        return self.table.counts


def map_shards(
    step: str,
    inputs: Sequence[ShardedTable],
    output: Path,
    progress: Callable[[str], None] = log.info,
    **arguments: Any,
) -> MapReport:
    """Make the output shard of each shard of `inputs[0]`; the other inputs give the shard of the same name.

    Args:
        step: `package.module:Class`, so that a worker on another machine can import it.
        inputs: tables with the same shard names.
        output: folder of the table to make. Shards whose input is gone are removed.
        progress: called with one line per shard.
        arguments: JSON-able keyword arguments of the step. Pass a model's version beside its path: a path alone does
            not tell that the model behind it changed.

    Raises:
        StepError: every shard that had to be made failed.
    """
    kind = _load(step)
    others = [{shard.name: shard for shard in table.shards} for table in inputs[1:]]
    instance: Step | None = None
    made = skipped = 0
    failed: dict[str, str] = {}
    for first in inputs[0].shards:
        try:
            shards = [first, *(table[first.name] for table in others)]
            key = fingerprint([step, kind.version, arguments, [shard.fingerprint for shard in shards]])
            if _is_current(output, first.name, key):
                skipped += 1
                continue
            instance = instance or kind(**arguments)
            shard = _make(instance, shards, output, key)
        except Exception as error:
            log.exception("%s: shard %s failed", step, first.name)
            failed[first.name] = f"{type(error).__name__}: {error}"
        else:
            made += 1
            progress(f"{step.rpartition(':')[2]} {shard.name}: {shard.rows} rows {dict(shard.counts)}")
    if failed and not made and not skipped:
        raise StepError(f"{step}: all {len(failed)} shards failed: {failed}")
    _remove_orphans(output, inputs[0])
    return MapReport(ShardedTable(output, inputs[0].prefix), made, skipped, failed)


def _load(step: str) -> Any:
    module, _, name = step.partition(":")
    return getattr(import_module(module), name)


def _make(step: Step, shards: Sequence[Shard], output: Path, key: str) -> Shard:
    counts: Counter[str] = Counter()
    return write_shard(
        output, shards[0].name, step.schema, step(*shards, counts=counts), fingerprint=key, counts=counts
    )


def _is_current(output: Path, name: str, key: str) -> bool:
    path = output / f"{name}.parquet"
    return path.exists() and read_shard(output, path).fingerprint == key


def _remove_orphans(output: Path, source: ShardedTable) -> None:
    wanted = {shard.name for shard in source.shards}
    for shard in ShardedTable(output, source.prefix).shards:
        if shard.name not in wanted:
            shard.path.unlink()
