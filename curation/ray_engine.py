"""Workers on a Ray cluster: a pool of actors that make shards side by side, on as many machines as there are.

An actor builds the step once (loads its model once) and makes shard after shard. A shard whose actor died, with its
process or with its whole machine, is made again by another one. The unit of work is a whole shard that the actor reads
and publishes itself, so nothing but names and counts travels through Ray. Tables must lie where every machine sees
them; directories that the step's arguments name (models) are sent to machines other than this one.

Ray is needed only here and imported only when it is used: `pip install 'fashion-pairs[ray]'`.
"""

import io
import logging
import os
import tarfile
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from curation.engine import Failure, Maker, Results, Task, Work
from curation.errors import StepError
from curation.places import Place
from curation.tables import Shard

log = logging.getLogger(__name__)

THIS_MACHINE: Final = "local"
"""Address that starts a cluster on this machine, which ends with this process."""
_TRIES: Final = 3  # of a shard whose actor died
_DEATHS: Final = 5  # of actors in a row, without a shard made in between: something is wrong with all of them
_PATIENCE: Final = 60.0  # s without news until the log says so


@dataclass(frozen=True)
class RayWorkers:
    """A pool of actors.

    Args:
        address: of the cluster: `auto` for the one that this machine belongs to, `host:port`, or `local`.
        workers: actors at most.
        cpus: reserved for each; also its number of threads. With more than one, models may give other last bits.
        gpus: reserved for each where a step computes on a GPU; a share such as 0.5 lets two actors have one.
    """

    address: str = THIS_MACHINE
    workers: int = 2
    cpus: float = 1
    gpus: float = 0

    def __call__(self, work: Work, tasks: Sequence[Task]) -> Results:
        """Make all tasks. Raises `StepError` when the cluster cannot keep an actor alive."""
        if not tasks:
            return
        connect(self.address, self.workers)
        pool = _Pool(self, replace(work, output=_absolute(work.output)))
        try:
            yield from pool.run([_movable(task) for task in tasks], min(self.workers, len(tasks)))
        finally:
            pool.end()


def connect(address: str, workers: int = 1, *, show: bool = False) -> None:
    """Join a cluster, or start one on this machine; nothing when this process is in one already.

    Who may join is Ray's affair: `RAY_AUTH_MODE` and `RAY_AUTH_TOKEN` of the environment. With `show`, what the workers
    print is printed here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if not ray.is_initialized():
        own = {"num_cpus": max(workers, len(os.sched_getaffinity(0))), "include_dashboard": False}
        quiet = {"log_to_driver": show, "logging_level": logging.WARNING}
        ray.init(address, **(own if address == THIS_MACHINE else {}), **quiet)


def node() -> str:
    """Ray's name of this machine."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


@dataclass(frozen=True)
class Parcel:
    """Directories of one machine, packed for others."""

    node: str  # where they lie
    folders: Mapping[str, bytes]  # argument → `packed`

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Parcel":
        """All directories that a step's arguments name."""
        named = {key: value for key, value in arguments.items() if isinstance(value, str) and value.startswith("/")}
        return cls(node(), {key: packed(Path(value)) for key, value in named.items() if Path(value).is_dir()})

    def unpack(self, arguments: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """The arguments with directories of this machine."""
        if self.node == node():
            return dict(arguments)
        moved = dict(arguments)
        for number, (key, data) in enumerate(self.folders.items()):
            moved[key] = str(folder / str(number) / Path(arguments[key]).name)
            unpack(data, Path(moved[key]))
        return moved


def packed(folder: Path) -> bytes:
    """A directory as a tar file, its links as what they lead to."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", dereference=True) as archive:
        archive.add(folder.resolve(), arcname=".")
    return data.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Make a directory of what `packed` gave."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="data")


class ShardMaker:
    """The actor: makes shards on the machine where Ray has put it."""

    def __init__(self, work: Work, version: str, parcel: Parcel, threads: int) -> None:
        if work.kind.version != version:
            raise StepError(f"{work.step}: version {work.kind.version} is installed here, {version} is asked for")
        pa.set_cpu_count(threads)  # Arrow would take as many as the machine has
        self._folder = tempfile.TemporaryDirectory(prefix="fashion-models-")
        arguments = parcel.unpack(work.arguments, Path(self._folder.name))
        if work.on_gpu:
            arguments["threads"] = threads
        self._maker = Maker(replace(work, arguments=arguments))

    def make(self, task: Task | None) -> Shard | Failure | None:
        """Make a shard. Without one it tells that the actor has started."""
        return None if task is None else self._maker.make(task)

    def close(self) -> None:
        """Leave no model behind."""
        self._folder.cleanup()


class _Pool:
    """Actors, and the call that each of them is at."""

    def __init__(self, options: RayWorkers, work: Work) -> None:
        import ray

        threads = max(1, int(options.cpus))
        gpus = options.gpus if work.on_gpu else 0
        needs = {"num_cpus": options.cpus, "num_gpus": gpus}
        actor = ray.remote(ShardMaker).options(**needs, max_restarts=0, scheduling_strategy="SPREAD")
        parcel = ray.put(Parcel.of(work.arguments))
        self._start: Callable[[], Any] = lambda: actor.remote(work, work.kind.version, parcel, threads)
        self._needs = needs
        self._calls: dict[Any, tuple[Any, Task | None]] = {}
        self._deaths = 0  # in a row

    def run(self, tasks: Sequence[Task], size: int) -> Results:
        """Deal tasks to whichever of `size` actors is free, until each is made or given up."""
        waiting, tries, left = deque(tasks), Counter[str](), len(tasks)
        for _ in range(size):
            self._call(self._start())
        while left:
            actor, task, made = self._next()
            if isinstance(made, Exception):
                self._replace(actor, made)
                if task is not None and tries[task.name] < _TRIES:
                    log.warning("shard %s is made again: its worker is gone", task.name)
                    waiting.append(task)
                    continue
                made = Failure(f"WorkerDied: {_TRIES} workers died of it; the last one: {made}")
            elif waiting:
                tries[waiting[0].name] += 1
                self._call(actor, waiting.popleft())
            else:
                actor.close.remote()
                actor.__ray_terminate__.remote()
            if task is not None and made is not None:
                left -= 1
                yield task, made

    def end(self) -> None:
        """End all actors, at once."""
        import ray

        for actor, _ in self._calls.values():
            ray.kill(actor)
        self._calls.clear()

    def _call(self, actor: Any, task: Task | None = None) -> None:
        self._calls[actor.make.remote(task)] = actor, task

    def _next(self) -> tuple[Any, Task | None, Shard | Failure | Exception | None]:
        """The next actor that is free, what it was at, and what came of it: an exception when the actor died."""
        import ray

        while not (done := ray.wait(list(self._calls), timeout=_PATIENCE)[0]):
            if not any(task for _, task in self._calls.values()):
                log.warning("no worker yet: each needs %s of %s", self._needs, ray.cluster_resources())
        actor, task = self._calls.pop(done[0])
        try:
            made: Shard | Failure | None = ray.get(done[0])
        except ray.exceptions.RayError as error:
            return actor, task, error
        self._deaths = 0 if task else self._deaths
        return actor, task, made

    def _replace(self, actor: Any, error: Exception) -> None:
        import ray

        ray.kill(actor)
        self._deaths += 1
        if self._deaths >= _DEATHS:
            raise StepError(f"{_DEATHS} workers died in a row; the last one: {error}") from error
        self._call(self._start())


def _movable(task: Task) -> Task:
    return replace(task, inputs=tuple(replace(shard, path=_absolute(shard.path)) for shard in task.inputs))


def _absolute(at: Place) -> Place:
    """A worker has another working folder."""
    return at.absolute() if isinstance(at, Path) else at
