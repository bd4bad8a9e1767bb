"""What people do with trained models: list versions, promote one, roll back, push to the hub, try on LookBench.

Answers are JSON lines. Exit status 2 means that the input will not do.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from curation.errors import CurationError
from curation.options import add_data, default_data
from models.errors import ModelsError
from models.promotion import KINDS, NEXT, ModelVersions

Answers = Iterator[dict[str, Any]]


def main(arguments: Sequence[str]) -> int:
    """Run a command and print its answers; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    commands = parser.add_subparsers(required=True)
    versions = commands.add_parser("versions", help="list the versions of a model, and what the gate said of each")
    promote = commands.add_parser("promote", help="use a version whatever the gate said")
    promote.add_argument("version", help="such as 0002")
    rollback = commands.add_parser("rollback", help="return to the version used before")
    for command in (promote, rollback):
        command.add_argument("--reason", required=True, help="why; it is kept in the ledger")
    for command in (versions, promote, rollback):
        command.add_argument("--kind", choices=KINDS, default="encoder", help="of which model (default: encoder)")
    push = commands.add_parser("push", help="make a hub repository hold a model, with its card")
    push.add_argument("kind", choices=KINDS)
    push.add_argument("repo", help="owner/name; the token is the one of `hf auth login`")
    push.add_argument("--endpoint", help="another hub than huggingface.co")
    push.add_argument("--public", action="store_true", help="a repository that has to be created is public")
    for command in (versions, promote, rollback, push):
        add_data(command, holds="models/")
    lookbench = commands.add_parser("lookbench", help="measure an encoder on LookBench's queries and galleries")
    lookbench.add_argument("--data", type=Path, required=True, help="folder of the benchmark, with `noise`")
    encoder = f"{default_data()}/models/encoder"
    lookbench.add_argument("--encoder", default=encoder, help="checkpoint directory or hub name (default: the graph's)")
    for name, command in zip(NAMES, (versions, promote, rollback, push, lookbench), strict=True):
        command.set_defaults(run=NAMES[name])
    options = parser.parse_args(arguments)
    try:
        for answer in options.run(options):
            print(json.dumps(answer, ensure_ascii=False))  # noqa: T201 - the answer of a command
    except (CurationError, ModelsError, OSError) as error:
        print(f"models: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _versions(options: argparse.Namespace) -> Answers:
    versions = _of(options)
    yield {"in_use": versions.current and versions.current.name, "versions": versions.names}
    yield from versions.ledger()


def _promote(options: argparse.Namespace) -> Answers:
    versions = _of(options)
    before = versions.current
    versions.promote(options.version, options.reason)
    if before is not None and before.name == options.version:
        yield {"in_use": options.version, "next": "nothing: it was in use already"}
    else:
        yield _switched(options.kind, options.version)


def _rollback(options: argparse.Namespace) -> Answers:
    yield _switched(options.kind, _of(options).rollback(options.reason))


def _push(options: argparse.Namespace) -> Answers:
    from huggingface_hub import HfApi

    from curation.hub import reached
    from models.hub import push_to_hub

    api = HfApi(endpoint=options.endpoint)
    checkpoint = options.data / "models" / options.kind
    with reached(api):
        pushed = push_to_hub(checkpoint, options.kind, options.repo, api, private=not options.public)
    yield asdict(pushed)


def _lookbench(options: argparse.Namespace) -> Answers:
    from models.encoder.infer import Encoder
    from models.encoder.lookbench import evaluate_lookbench

    encoder = Encoder.load(options.encoder)
    yield {"encoder": encoder.version, **evaluate_lookbench(encoder, options.data)}


def _of(options: argparse.Namespace) -> ModelVersions:
    return ModelVersions(options.data / "models" / options.kind)


def _switched(kind: str, name: str) -> dict[str, Any]:
    return {"in_use": name, "next": NEXT[kind]}


NAMES: Final[Mapping[str, Callable[[argparse.Namespace], Answers]]] = {
    "versions": _versions,
    "promote": _promote,
    "rollback": _rollback,
    "push": _push,
    "lookbench": _lookbench,
}
"""The commands by name."""
