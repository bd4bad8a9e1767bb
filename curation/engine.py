"""The engine: one function maps the shards of tables to the shards of another, incrementally.

A stage is a `Step`: a class that turns the rows of its input shards into rows of its output shard. `map_shards` skips a
shard whose output was made from the same inputs, step version and arguments; a shard appears when it is complete; and
it keeps going when one shard fails. So every stage can be stopped, killed and resumed. Where the shards are made is up
to the workers: here, one after the other, or on a cluster (`curation.ray_engine`).
"""

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, Final, Protocol

import pyarrow as pa

from curation.errors import SchemaError, StepError
from curation.places import Found, Place, parquet_files, remove_abandoned
from curation.tables import Shard, ShardedTable, described, fingerprint, of_each, write_shard

log = logging.getLogger(__name__)

KEPT: Final = "kept"
FAILED: Final = "failed"


class Step(Protocol):
    """Rows in, rows out. Built once per worker with the arguments of `map_shards`, then called once per shard.

    While it yields, a step adds to `counts`: `kept`, `failed`, and one name per reason for what it dropped. A step with
    a model, which computes on a GPU where there is one, says so by a class attribute `on_gpu = True` and takes the
    argument `threads`: processor threads to compute with, 1 unless a worker has more to itself.
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
    waiting: Mapping[str, str] = field(default_factory=dict)  # shard name → which inputs do not have it yet

    @property
    def counts(self) -> dict[str, int]:
        """Row counts by reason over all shards, also those made by earlier runs."""
        return self.table.counts


@dataclass(frozen=True)
class Work:
    """What is the same for all shards of a `map_shards` call."""

    step: str
    arguments: Mapping[str, Any]
    output: Place

    @property
    def kind(self) -> Any:
        """The step's class."""
        module, _, name = self.step.partition(":")
        return getattr(import_module(module), name)

    @property
    def on_gpu(self) -> bool:
        """Whether the step has a model (`Step`)."""
        return getattr(self.kind, "on_gpu", False)


@dataclass(frozen=True, slots=True)
class Task:
    """A shard to make: its inputs, and the fingerprint that it will carry."""

    inputs: tuple[Shard, ...]
    key: str

    @property
    def name(self) -> str:
        """Of the shard."""
        return self.inputs[0].name


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a shard could not be made."""

    error: str
    trace: str = ""

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """What an exception says, for people."""
        return cls(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


Results = Generator[tuple[Task, Shard | Failure], None, None]
Workers = Callable[[Work, Sequence[Task]], Results]
"""Make all tasks, in any order. Closing the generator ends what is under way."""


class Maker:
    """Makes the shards of one work, one after the other. A failed shard is told, never raised."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._step: Step | None = None

    def make(self, task: Task) -> Shard | Failure:
        """Make one shard."""
        try:
            self._step = self._step or self._work.kind(**self._work.arguments)
            return self._write(self._step, task)
        except Exception as error:
            return Failure.of(error)

    def _write(self, step: Step, task: Task) -> Shard:
        counts: Counter[str] = Counter()
        rows = step(*task.inputs, counts=counts)
        return write_shard(self._work.output, task.name, step.schema, rows, fingerprint=task.key, counts=counts)


def here(work: Work, tasks: Sequence[Task]) -> Results:
    """Workers: this process."""
    maker = Maker(work)
    for task in tasks:
        yield task, maker.make(task)


def map_shards(
    step: str,
    inputs: Sequence[ShardedTable],
    output: Place,
    progress: Callable[[str], None] = log.info,
    workers: Workers = here,
    **arguments: Any,
) -> MapReport:
    """Make the output shard of each shard of `inputs[0]`; the other inputs give the shard of the same name.

    Args:
        step: `package.module:Class`, so that a worker on another machine can import it.
        inputs: tables with the same shard names.
        output: folder of the table to make. Shards whose input is gone are removed.
        progress: called with one line per shard.
        workers: who makes the shards. What they make does not depend on it.
        arguments: JSON-able keyword arguments of the step. Pass a model's version beside its path: a path alone does
            not tell that the model behind it changed.

    Raises:
        StepError: none is up to date, and every one failed or lacks an input.
    """
    work = Work(step, arguments, output)
    tasks, waiting = _tasks(work, inputs)
    failed: dict[str, str] = {}
    current = _current(output, inputs[0].prefix)
    wanted = [task for task in tasks if current.get(task.name) != task.key]
    with closing(workers(work, wanted)) as results:  # whatever ends this call, ends the workers
        for task, made in results:
            if isinstance(made, Failure):
                log.error("%s: shard %s failed\n%s", step, task.name, made.trace)
                failed[task.name] = made.error
            else:
                progress(f"{step.rpartition(':')[2]} {made.name}: {made.rows} rows {dict(made.counts)}")
    skipped = len(tasks) - len(wanted)
    made_now = len(wanted) - len(failed)
    if (lost := failed | waiting) and not made_now and not skipped:
        raise StepError(f"{step}: none of {len(lost)} shards could be made: {lost}")
    _remove_orphans(output, inputs[0])
    return MapReport(ShardedTable(output, inputs[0].prefix), made_now, skipped, failed, waiting)


def _tasks(work: Work, inputs: Sequence[ShardedTable]) -> tuple[list[Task], dict[str, str]]:
    """A task per shard, and the shards that lack an input.

    One lacks it where a crawl adds shards while a run is under way: what had its turn before does not know them. The
    run that follows the crawl makes them.
    """
    others = [{shard.name: shard for shard in table.shards} for table in inputs[1:]]
    tasks, waiting = [], {}
    for first in inputs[0].shards:
        missing = [table.root for table, named in zip(inputs[1:], others, strict=True) if first.name not in named]
        if missing:
            waiting[first.name] = f"no shard of that name in {', '.join(map(str, missing))}"
            continue
        shards = (first, *(named[first.name] for named in others))
        stamps = [shard.fingerprint for shard in shards]
        tasks.append(Task(shards, fingerprint([work.step, work.kind.version, dict(work.arguments), stamps])))
    return tasks, waiting


def _current(output: Place, prefix: str) -> dict[str, str | None]:
    """Fingerprint of every shard that is there; none of one that cannot be read."""
    files = parquet_files(output, prefix)
    return dict(zip((file.name for file in files), of_each(_stamp, files), strict=True))


def _stamp(file: Found) -> str | None:
    try:
        return described(file).fingerprint
    except SchemaError as error:
        log.warning("%s is made again: %s", file.path, error)
        return None


def _remove_orphans(output: Place, source: ShardedTable) -> None:
    made = parquet_files(output, source.prefix)
    # The sources are listed anew, after the outputs: what another run made of a new shard meanwhile is no orphan.
    wanted = {file.name for file in parquet_files(source.root, source.prefix)}
    for file in made:
        if file.name not in wanted:
            file.path.unlink()
    remove_abandoned(output, source.prefix)
