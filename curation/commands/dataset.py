"""Commands on the pair dataset: its versions, review, audits, another set's pairs, and pushing it to the hub."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from curation.errors import CurationError
from curation.options import add_data
from curation.versions import Versions

Answers = Iterator[dict[str, Any]]


def add_commands(commands: Any) -> None:
    """Add them to the sub-commands of a parser."""
    audit = commands.add_parser("audit", help="find pictures of a benchmark in the dataset")
    audit.add_argument("folder", type=Path, help="the benchmark's pictures")
    audit.add_argument("--name", default="", help="of the report (default: the folder's)")
    audit.add_argument("--remove", action="store_true", help="publish a version without the overlaps")
    audit.set_defaults(run=_audit)
    versions = commands.add_parser("versions", help="list the dataset's versions, switch, remove old ones")
    versions.add_argument("--use", metavar="VERSION", help="make this version the one in use")
    versions.add_argument(
        "--keep", type=int, metavar="N", help="remove all but the newest N, pinned ones, and the one in use"
    )
    versions.add_argument("--pin", metavar="VERSION", help="keep this version for good")
    versions.add_argument("--unpin", metavar="VERSION", help="let it expire again")
    versions.set_defaults(run=_versions)
    publish = commands.add_parser("publish", help="publish what verdicts and audits changed")
    publish.set_defaults(run=_publish)
    doubts = commands.add_parser("doubts", help="look at new pairs, so that a review begins with the most doubtful")
    doubts.set_defaults(run=_doubts)
    export = commands.add_parser("review-export", help="write doubtful pairs as tasks for Label Studio")
    export.add_argument("out", type=Path, help="folder for tasks.json and interface.xml")
    export.add_argument("--doubtful", type=int, default=200, metavar="N", help="of the most doubtful (default 200)")
    export.add_argument(
        "--random", type=int, default=50, metavar="N", help="drawn at random, to estimate precision (50)"
    )
    export.set_defaults(run=_review_export)
    imported = commands.add_parser("review-import", help="take in a project's JSON export and publish a version")
    imported.add_argument("file", type=Path)
    imported.set_defaults(run=_review_import)
    push = commands.add_parser("push", help="make a hub repository hold the version in use")
    push.add_argument("repo", help="owner/name; the token is the one of `hf auth login`")
    push.add_argument("--endpoint", help="another hub than huggingface.co")
    push.add_argument("--public", action="store_true", help="a repository that has to be created is public")
    push.add_argument("--squash", action="store_true", help="drop the repository's history, as after a take-down")
    push.set_defaults(run=_push)
    pairs = commands.add_parser("import-pairs", help="publish Kaggle's fashion-anchor-cloth-pairs as a pair dataset")
    pairs.add_argument("folder", type=Path, help="of the unpacked archive")
    pairs.set_defaults(run=_import_pairs)
    for command in (audit, versions, publish, doubts, export, imported, push):
        add_data(command)
    # Never the data folder of a shop by default: this replaces the dataset that is there.
    pairs.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="data folder of its own, made anew")


def _audit(options: argparse.Namespace) -> Answers:
    from curation.audit import audit
    from curation.republish import republish

    report = audit(options.folder, options.data, remove=options.remove, name=options.name)
    if options.remove:
        report["next_version"] = republish(options.data)["version"]
    yield report


def _versions(options: argparse.Namespace) -> Answers:
    from curation.places import read_manifest

    versions = Versions(options.data / "pair_dataset")
    if options.use:
        versions.activate(options.use)
    for name, pinned in ((options.pin, True), (options.unpin, False)):
        if name:
            versions.pin(name, pinned)
    removed = versions.expire(options.keep) if options.keep is not None else []
    used = versions.current
    manifests = [read_manifest(versions.folder / name) for name in versions.names]
    shown = ("version", "created_at", "rows", "difference", "left_out", "fingerprint")
    listed = [{name: manifest[name] for name in shown} for manifest in manifests]
    yield {"in_use": used and used.name, "pinned": sorted(versions.pinned), "removed": removed, "versions": listed}


def _publish(options: argparse.Namespace) -> Answers:
    from curation.republish import republish

    yield republish(options.data)


def _doubts(options: argparse.Namespace) -> Answers:
    from curation.doubts import make_doubts

    used = _in_use(Versions(options.data / "pair_dataset"))
    yield {"version": used.name, "pairs": len(make_doubts(options.data, used))}


def _review_export(options: argparse.Namespace) -> Answers:
    from curation.label_studio import write_tasks

    _in_use(Versions(options.data / "pair_dataset"))
    yield write_tasks(options.data, options.out, options.doubtful, options.random)


def _review_import(options: argparse.Namespace) -> Answers:
    from curation.label_studio import read_annotations
    from curation.republish import republish
    from curation.review import VerdictLog, read_verdicts

    folder = options.data / "review" / "verdicts"
    known = set(read_verdicts(folder))
    verdicts = [verdict for verdict in read_annotations(options.file) if verdict not in known]
    VerdictLog(folder).append(verdicts)
    manifest = republish(options.data)
    yield {"new_verdicts": len(verdicts), "version": manifest["version"], "review": manifest["review"]}


def _import_pairs(options: argparse.Namespace) -> Answers:
    from curation.anchor_cloth import import_anchor_cloth

    yield import_anchor_cloth(options.folder, options.data)


def _push(options: argparse.Namespace) -> Answers:
    from huggingface_hub import HfApi

    from curation.hub import push, reached

    versions = Versions(options.data / "pair_dataset")
    used = _in_use(versions)
    api = HfApi(endpoint=options.endpoint)
    with reached(api):
        done = push(used, options.repo, api, private=not options.public, squash=options.squash)
    versions.pin(used.name)  # what others may have is kept here too
    yield asdict(done)


def _in_use(versions: Versions) -> Path:
    """Folder of the version in use. Raises `CurationError` when there is none yet."""
    if versions.current is None:
        raise CurationError(f"{versions.link}: there is no version yet; materialize pair_dataset first")
    return versions.current
