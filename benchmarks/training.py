"""Training of the encoder against the prior loop: pairs per second at equal batch, largest batch in equal memory.

Same network, pictures and precision (bfloat16 where the processor has it), one thread. Every measurement is a process
of its own, for its peak memory. Speed is asked of a network that is done with a pair in milliseconds, as the published
one is on a GPU: there the loading of pictures decides. The prior loop decodes pictures at every step, ours all of them
before the first; so speed is told of a training as long as the preset's, with what it does outside its steps, and of
steps alone. Memory is asked of a published network, in which activations outweigh everything else.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from models.checkpoint import open_checkpoint
from models.presets import preset
from models.run import train

_SWIN: Final = {"model_type": "swin", "window_size": 7, "depths": [2, 2, 18, 2]}
_NETWORKS: Final[Mapping[str, Mapping[str, Any]]] = {
    "tiny": {},  # the preset's own
    "swin-tiny": {"side": 224, "architecture": {**_SWIN, "depths": [2, 2, 6, 2]}},
    "swin-small": {"side": 224, "architecture": _SWIN},
    "swin-base": {"side": 224, "architecture": {**_SWIN, "embed_dim": 128, "num_heads": [4, 8, 16, 32]}},
}
_WAYS: Final = ("prior", "ours", "cached")
_FILE: Final = "{}-00000.parquet"
_STEPS: Final = 2  # where memory is asked for: the optimiser's state, made by the first, lies beside activations then


def main() -> None:
    """Print a table and the ratios as JSON, or measure one way in this process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--batch", type=int, default=96, help="pairs a step, for speed (default 96)")
    parser.add_argument("--steps", type=int, default=12, help="for speed (default 12)")
    parser.add_argument("--network", choices=list(_NETWORKS), default="swin-base", help="for memory")
    parser.add_argument("--prior-batch", type=int, default=8, help="pairs of the prior loop, for memory (default 8)")
    parser.add_argument("--times", type=int, nargs="+", default=[16], help="multiples of it to try with caching")
    parser.add_argument("--micro", type=int, default=4, help="pairs whose activations caching holds (default 4)")
    parser.add_argument("--skip", choices=("speed", "memory"), help="what not to measure")
    parser.add_argument("--one", nargs=5, metavar=("WAY", "NETWORK", "DATA", "BATCH", "STEPS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, network, data, batch, steps = options.one
        print(json.dumps(_measure(way, network, Path(data), int(batch), int(steps), options.micro)))
        return
    print(
        f"{'':<10}{'network':<12}{'batch':>6}{'pairs/s':>9}{'data wait':>11}{'apart, s':>11}{'peak MiB':>10}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="fashion-training-") as folder:
        data = _pairs(Path(folder), max(options.prior_batch * max(options.times), 4 * options.batch))
        speed = {} if options.skip == "speed" else _speed(data, options.batch, options.steps)
        largest = None if options.skip == "memory" else _largest(data, options)
    print(json.dumps({**speed, "batch_in_equal_memory_vs_prior": largest}))


def _speed(data: Path, batch: int, steps: int) -> dict[str, float]:
    """Our pairs per second as a multiple of the prior loop's: of `of_steps` steps on `of_pairs`, and of steps alone."""
    prior, ours = (_child(way, "tiny", data, batch, steps) for way in ("prior", "ours"))
    length = preset("encoder", "tiny")["steps"]
    seconds = [row["apart"] + length * batch / row["rows_per_second"] for row in (prior, ours)]
    return {
        "pairs_per_second_vs_prior": round(seconds[0] / seconds[1], 2),
        "of_steps": length,
        "of_pairs": pq.read_metadata(data / _FILE.format("train")).num_rows,
        "in_steps_alone": round(ours["rows_per_second"] / prior["rows_per_second"], 2),
    }


def _largest(data: Path, options: argparse.Namespace) -> int:
    """The largest multiple of the prior loop's batch that fits where that loop does; 0 when none of those tried."""
    network, batch, micro = options.network, options.prior_batch, ("--micro", str(options.micro))
    prior, _ = (_child(way, network, data, batch, _STEPS) for way in ("prior", "ours"))
    cached = {times: _child("cached", network, data, batch * times, _STEPS, micro) for times in options.times}
    return max((times for times, row in cached.items() if row["peak_mib"] <= prior["peak_mib"]), default=0)


def _child(way: str, network: str, data: Path, batch: int, steps: int, more: Sequence[str] = ()) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training", *more]
    command += ["--one", way, network, str(data), str(batch), str(steps)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    print(
        f"{way:<10}{network:<12}{batch:>6}{row['rows_per_second']:>9.2f}{row['data_wait']:>11.1%}"
        f"{row['apart']:>11.1f}{row['peak_mib']:>10.0f}",
        flush=True,
    )
    return row


def _measure(way: str, network: str, data: Path, batch: int, steps: int, micro: int) -> dict[str, float]:
    """Figures of one way: `rows_per_second` and `data_wait` of its steps, seconds `apart` from them, `peak_mib`."""
    choice = _NETWORKS[network]
    values = preset("encoder", "tiny", batch=batch, steps=steps, processes=1, checkpoint_every=0.0, distractors=0)
    values |= {"precision": "auto", "optimiser": "adamw", "micro_batch": micro if way == "cached" else 0}
    if choice:
        values |= {"architecture": choice["architecture"], "height": choice["side"], "width": choice["side"]}
    begin = time.monotonic()
    if way == "prior":
        figures = _prior(values, data, batch, steps)
    else:
        out = data / f"{way}-{network}-{batch}"
        train("encoder", values, data, out)
        metrics = open_checkpoint(out, "encoder")[1].metrics
        figures = {name: metrics[name] for name in ("rows_per_second", "data_wait")}
    apart = time.monotonic() - begin - batch * steps / figures["rows_per_second"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**figures, "apart": apart, "peak_mib": peak}


def _prior(values: dict[str, Any], data: Path, batch: int, steps: int) -> dict[str, float]:
    from benchmarks.prior_training import train_as_before
    from models.config import make_config
    from models.device import set_threads
    from models.encoder.config import EncoderConfig
    from models.encoder.train import build
    from models.seeds import seed_everything

    set_threads(1)
    seed_everything(0)
    network, _ = build(make_config(EncoderConfig, values))
    return train_as_before(network, data / _FILE.format("train"), values["height"], batch, steps)


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
        pq.write_table(pa.table(columns), folder / _FILE.format(split), row_group_size=64)
    return folder


def _jpeg(draw: np.random.Generator, width: int, height: int) -> bytes:
    small = Image.fromarray(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    file = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main()
