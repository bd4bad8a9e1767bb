"""`python -m models.on_ray --workers 4 --gpus 1 -- encoder --preset full --data DATA --out OUT`: torchrun on Ray.

Reserves processors and GPUs on a Ray cluster and runs `python -m models` with the arguments after `--` in each of as
many processes as there are workers, on whatever machines they are. The processes find each other as those that
`torchrun` starts do, so it is the same training (`models.ranks`). When one fails, all end. The first writes OUT; if it
is on another machine than this command, OUT is brought here. DATA must be a path that every machine has, or a URL.
"""

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from curation.ray_engine import connect, node, packed, unpack

_LOST: Final = 1
_NO_CLUSTER: Final = 2


class Trainer:
    """The actor: one of the processes that train together."""

    def meeting_point(self) -> tuple[str, int]:
        """Address and a free port of this machine."""
        import ray

        with socket.socket() as listener:
            listener.bind(("", 0))
            return str(ray.util.get_node_ip_address()), int(listener.getsockname()[1])

    def train(self, arguments: list[str], environment: dict[str, str]) -> int:
        """Run the command line in this process; returns its exit status."""
        os.environ.update(environment)
        from models.__main__ import main

        return main(arguments)

    def checkpoint(self, out: Path, asked_from: str) -> bytes | None:
        """The checkpoint, packed, unless the one who asks is on the same machine."""
        return packed(out) if node() != asked_from else None


def launch(arguments: Sequence[str], workers: int, cpus: float = 1, gpus: float = 0, address: str = "auto") -> int:
    """Train on a cluster; returns the exit status of `python -m models`.

    Args:
        arguments: of `python -m models`.
        workers: processes.
        cpus: reserved for each.
        gpus: reserved for each; the process sees no other.
        address: of the cluster, see `curation.ray_engine.RayWorkers`.
    """
    try:
        connect(address, workers, show=True)
    except ConnectionError:
        told = f"models: no Ray cluster at {address}: `ray start --head`, or name one with --address"
        print(told, file=sys.stderr)  # noqa: T201 - a command line
        return _NO_CLUSTER
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    # All or none: processes that wait for others would hold what those need.
    group = ray.util.placement_group([{"CPU": cpus, **({"GPU": gpus} if gpus else {})}] * workers)
    ray.get(group.ready())
    placed = PlacementGroupSchedulingStrategy(group)
    actor = ray.remote(Trainer).options(num_cpus=cpus, num_gpus=gpus, scheduling_strategy=placed)
    trainers = [actor.remote() for _ in range(workers)]
    try:
        status = _train(trainers, list(arguments))
        if status == 0:
            _bring_here(trainers[0], _out(arguments))
        return status
    finally:
        for trainer in trainers:
            ray.kill(trainer)
        ray.util.remove_placement_group(group)


def _train(trainers: Sequence[Any], arguments: list[str]) -> int:
    """Exit status of the first that fails, or 0."""
    import ray

    host, port = ray.get(trainers[0].meeting_point.remote())
    meeting = {"WORLD_SIZE": str(len(trainers)), "MASTER_ADDR": host, "MASTER_PORT": str(port)}
    runs = []
    for rank, trainer in enumerate(trainers):
        # Ray shows each process its own GPUs only: they are the first ones.
        place = {**meeting, "RANK": str(rank), "LOCAL_RANK": "0"} if len(trainers) > 1 else {}
        runs.append(trainer.train.remote(arguments, place))
    while runs:
        done, runs = ray.wait(runs)
        try:
            status = int(ray.get(done[0]))
        except ray.exceptions.RayError as error:
            print(f"models: a worker is gone: {error}", file=sys.stderr)  # noqa: T201 - a command line
            return _LOST
        if status:
            return status
    return 0


def _bring_here(trainer: Any, out: Path) -> None:
    import ray

    if (data := ray.get(trainer.checkpoint.remote(out, node()))) is None:
        return
    fresh = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    unpack(data, fresh)
    if out.exists():
        shutil.rmtree(out)
    fresh.rename(out)


def _out(arguments: Sequence[str]) -> Path:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_known_args(arguments)[0].out
    return out


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.on_ray", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--cpus", type=float, default=1, help="processors of each (default 1)")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of each (default 0)")
    parser.add_argument("--address", default="auto", help="of the cluster (default auto: the one this machine is in)")
    parser.add_argument("training", nargs="+", help="after --: arguments of python -m models; paths absolute")
    options = parser.parse_args(arguments)
    return launch(options.training, options.workers, options.cpus, options.gpus, options.address)


if __name__ == "__main__":
    sys.exit(main())
