"""Training as an asset: a killed one is gone on with when it is materialized again, and its curves are shown."""

import base64
import io
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest
from PIL import Image

from assets.artifacts import each, model_outcome, train
from assets.pictures import curves_metadata
from assets.resources import DataFolder, Recipes
from models.progress import read_progress
from tests.models import toys

TINY = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
STEPS = 40


def _definitions(tmp_path: Path, catalog: Path) -> tuple[dg.AssetsDefinition, dict[str, object]]:
    @dg.asset
    def classifier(
        context: dg.AssetExecutionContext, data: DataFolder, recipes: Recipes, children: dg.PipesSubprocessClient
    ) -> dg.MaterializeResult[None]:
        changes = {"architecture": TINY, "height": 32, "width": 32, "batch": 16, "checkpoint_every": 1e-9}
        train(context, data, recipes, children, "classifier", catalog, "fingerprint", steps=STEPS, **changes)
        return dg.MaterializeResult()

    resources = {
        "data": DataFolder(root=str(tmp_path / "data")),
        "recipes": Recipes(profile="tiny", seed=1, floors={}),
        "children": dg.PipesSubprocessClient(),
    }
    return classifier, resources


def _kill_after(folder: Path, step: int) -> None:
    """Kill every child of this process as soon as the state of a step is there."""
    while not any(int(path.stem) >= step for path in folder.glob("state/*.json")):
        time.sleep(0.01)
    for child in psutil.Process().children(recursive=True):
        child.kill()


@pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id")  # Dagster's own Pipes asks for it
def test_train__goes_on_after_a_killed_run(tmp_path: Path) -> None:
    catalog = toys.catalog_table(tmp_path / "catalog", per_class=20).root
    asset, resources = _definitions(tmp_path, catalog)
    out = tmp_path / "data" / "models" / "classifier"
    threading.Thread(target=_kill_after, args=(out, 8), daemon=True).start()
    assert not dg.materialize([asset], resources=resources, raise_on_error=False).success
    assert (out / "state").is_dir()
    assert dg.materialize([asset], resources=resources).success
    assert 8 <= read_progress(out / "progress.jsonl", "start")[-1]["step"] < STEPS
    outcome = model_outcome(out, "accuracy", 0.0, "knows_categories")
    assert outcome.metadata["data_wait"] >= 0
    assert outcome.metadata["curves"].md_str.startswith("![curves by step]")


@pytest.mark.parametrize("first", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN); "])
def test_each__children_end_with_a_cancelled_run(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.artifacts._GRACE_S", 1.0)

    def cancel(*_: object) -> None:
        raise dg.DagsterExecutionInterruptedError

    def work(_: int) -> int:
        return subprocess.run(
            [sys.executable, "-c", f"import signal, time; {first}time.sleep(300)"], check=False
        ).returncode

    before = signal.signal(signal.SIGALRM, cancel)
    start = time.monotonic()
    try:
        signal.alarm(1)
        with pytest.raises(dg.DagsterExecutionInterruptedError):
            each(work, range(6), 2)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 100
    assert psutil.Process().children() == []


def test_curves_metadata__a_chart_for_each_number() -> None:
    events = [{"event": "step", "seconds": 1.0, "step": step, "loss": 1 / step, "note": "x"} for step in (1, 20)]
    events += [{"event": "evaluation", "seconds": 1.0, "step": step, "map": 0.1 * step} for step in (10, 20)]
    text = curves_metadata(events).md_str
    picture = Image.open(io.BytesIO(base64.b64decode(text.partition("base64,")[2].rstrip(")"))))
    assert picture.size == (2 * 460, 260)
    assert "short" in curves_metadata(events[:1]).md_str
