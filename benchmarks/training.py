"""Training of the encoder against the prior loop: pairs per second at equal batch, largest batch in equal memory.

Same Swin, same pictures, same precision, one thread. Every measurement is a process of its own, for its peak memory.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from models.presets import preset
from models.progress import read_progress
from models.run import train

_SIDE: Final = 128
_SWIN: Final = {
    "model_type": "swin",
    "patch_size": 4,
    "embed_dim": 48,
    "depths": [2, 2, 6, 2],
    "num_heads": [2, 4, 8, 16],
    "window_size": 4,
}
_MICRO: Final = 4  # pairs whose activations are held at once
_STEPS: Final = 20
_CACHED_STEPS: Final = 1  # memory does not grow after the first
_WAYS: Final = ("prior", "ours", "cached")


def main() -> None:
    """Print a table and the two ratios as JSON, or measure one way in this process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--batch", type=int, default=16, help="pairs (default 16)")
    parser.add_argument("--times", type=int, nargs="+", default=[16, 32], help="batches to try with gradient caching")
    parser.add_argument("--way", choices=_WAYS, help="measure this one only, on the pairs of --data")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(_measure(options.way, options.data, options.batch)))
        return
    with tempfile.TemporaryDirectory(prefix="fashion-training-") as folder:
        data = _pairs(Path(folder), options.batch * max(options.times))
        figures = {way: _child(way, data, options.batch) for way in ("prior", "ours")}
        largest = 0
        for times in options.times:
            cached = _child("cached", data, options.batch * times)
            figures[f"ours, cached, {times}×"] = cached
            largest = times if cached["peak_mib"] <= figures["prior"]["peak_mib"] else largest
    print(f"{'':<20}{'batch':>8}{'pairs/s':>10}{'data wait':>12}{'peak MiB':>10}")
    for name, row in figures.items():
        print(
            f"{name:<20}{row['batch']:>8}{row['rows_per_second']:>10.2f}{row['data_wait']:>12.1%}{row['peak_mib']:>10.0f}"
        )
    speed = figures["ours"]["rows_per_second"] / figures["prior"]["rows_per_second"]
    print(json.dumps({"pairs_per_second_vs_prior": round(speed, 2), "batch_in_equal_memory_vs_prior": largest}))


def _child(way: str, data: Path, batch: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.training", "--way", way, "--data", str(data), "--batch", str(batch)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    print(f"{way} {batch}: {figures}", file=sys.stderr, flush=True)
    return figures


def _measure(way: str, data: Path, batch: int) -> dict[str, float]:
    values = preset(
        "encoder", "tiny", architecture=_SWIN, height=_SIDE, width=_SIDE, batch=batch, processes=1, checkpoint_every=0.0
    )
    values |= {"precision": "bfloat16", "optimiser": "adamw", "steps": _STEPS}
    if way == "prior":
        figures = _prior(values, data, batch)
    else:
        changes = {"micro_batch": _MICRO, "steps": _CACHED_STEPS} if way == "cached" else {}
        out = data / f"{way}-{batch}"
        train("encoder", {**values, **changes}, data, out)
        last = read_progress(out / "progress.jsonl", "step")[-1]
        figures = {name: last[name] for name in ("rows_per_second", "data_wait")}
    return {"batch": batch, **figures, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _prior(values: dict[str, Any], data: Path, batch: int) -> dict[str, float]:
    from benchmarks.prior_training import train_as_before
    from models.config import make_config
    from models.device import set_threads
    from models.encoder.config import EncoderConfig
    from models.encoder.train import build
    from models.seeds import seed_everything

    set_threads(1)
    seed_everything(0)
    network, _ = build(make_config(EncoderConfig, values))
    return train_as_before(network, data / "train-00000.parquet", _SIDE, batch, _STEPS)


def _pairs(folder: Path, count: int) -> Path:
    """Pairs with pictures of the usual sizes: crops 300×400 px, thumbnails 500×500 px, each product in two pairs."""
    draw = np.random.default_rng(0)
    for split, rows in (("train", count), ("validation", 4)):
        names = [f"{split}-{number // 2}" for number in range(rows)]
        text = dict.fromkeys(("product_cluster_id", "product_id", "anchor_sha256", "positive_sha256"), names)
        columns: dict[str, Any] = {**text, "site": ["kream"] * rows, "category": ["top"] * rows}
        columns["post_id"] = list(range(rows))
        columns["anchor"] = [{"bytes": _jpeg(draw, 300, 400), "path": None} for _ in range(rows)]
        columns["positive"] = [{"bytes": _jpeg(draw, 500, 500), "path": None} for _ in range(rows)]
        pq.write_table(pa.table(columns), folder / f"{split}-00000.parquet", row_group_size=64)
    return folder


def _jpeg(draw: np.random.Generator, width: int, height: int) -> bytes:
    small = Image.fromarray(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    file = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main()
