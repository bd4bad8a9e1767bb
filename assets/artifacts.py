"""Training as an asset: a child process, and nothing to do when the checkpoint is of this data and configuration."""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final, TypeVar

import dagster as dg
import psutil

from assets.once import once
from assets.pictures import curves_metadata
from assets.resources import DataFolder, Recipes
from assets.stage import Check, Outcome, Rows
from curation.places import read_manifest
from curation.tables import write_json
from models.progress import read_progress

_GRACE_S: Final = 30.0

Name = TypeVar("Name")
Made = TypeVar("Made")


def train(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    recipes: Recipes,
    children: dg.PipesSubprocessClient,
    kind: str,
    dataset: Path,
    fingerprint: str,
    *,
    name: str | None = None,
    recipe: str | None = None,
    **changes: Any,
) -> Path:
    """Train one model, unless its checkpoint is of this very data and configuration; return the checkpoint.

    After a cancelled or killed run the child goes on from the last state that it saved.

    Args:
        context: of the asset.
        data: the checkpoint goes to `models/<name>` below it.
        recipes: which configuration.
        children: runs the trainer, whose memory goes when it ends.
        kind: detector, classifier or encoder.
        dataset: what the trainer reads.
        fingerprint: of that data.
        name: folder of the checkpoint, by default the kind.
        recipe: preset, by default the kind's.
        changes: values over the recipe's.
    """
    out = data.path / "models" / (name or kind)
    config = recipes.config(recipe or kind, **changes)
    config_file = out.with_name(f"{out.name}.config.json")

    def run() -> None:
        write_json(config_file, config)
        command = [sys.executable, "-m", "assets.child", "models", kind, "--config", str(config_file)]
        children.run(context=context, command=[*command, "--data", str(dataset), "--out", str(out)])

    if not once(out, {"config": config, "data": fingerprint}, run):
        context.log.info(f"{out} was trained on this data with this configuration")
    return out


def each(work: Callable[[Name], Made], names: Iterable[Name], side_by_side: int) -> list[Made]:
    """Do the work of each name in a child process, some at once. Cancelling the run ends the children."""
    if side_by_side == 1:
        return [work(name) for name in names]
    threads = ThreadPoolExecutor(side_by_side)
    made = [threads.submit(work, name) for name in names]
    try:
        return [one.result() for one in made]
    except dg.DagsterExecutionInterruptedError:  # it comes to this thread alone, and the others wait for their children
        threads.shutdown(wait=False, cancel_futures=True)
        for end in (psutil.Process.terminate, psutil.Process.kill):  # Dagster ignores SIGTERM where SIGINT is ignored
            for child in psutil.Process().children():
                end(child)
            wait([one for one in made if not one.cancelled()], _GRACE_S)
        raise
    finally:
        threads.shutdown(cancel_futures=True)


def model_outcome(checkpoint: Path, metric: str, floor: float, check: str, **metadata: Any) -> Outcome:
    """Outcome of a training: the metrics of the weights that were kept, the curves, and the check that gates it."""
    manifest = read_manifest(checkpoint)
    metrics = manifest["metrics"]
    events = read_progress(checkpoint / "progress.jsonl")
    passed = metrics[metric] >= floor
    facts = {
        "version": manifest["version"],
        **{name: value for name, value in metrics.items() if isinstance(value, int | float)},
        "config": dg.MetadataValue.json(manifest["config"]),
        "curves": curves_metadata(events),
        **metadata,
    }
    rows = Rows(int(metrics["step"]), int(metrics["step"]))
    text = f"{metric} {metrics[metric]:.3f}, floor {floor:.3f}"
    return Outcome(checkpoint, rows, facts, {check: Check(passed, text)})


def step_arguments(kind: str, checkpoint: Path) -> dict[str, str]:
    """Arguments that a step over shards takes for a model: where it is, and which version that must be."""
    return {kind: str(checkpoint), f"{kind}_version": read_manifest(checkpoint)["version"]}
