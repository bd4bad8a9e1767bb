"""What runs a trained network fastest on CPU cores, and how far it is from PyTorch in float32.

PyTorch eager in float32 and under bfloat16 autocast, ONNX Runtime, and OpenVINO in float32 and bfloat16, on one and two
threads, in one run: the full profile's detector and encoder with random weights, and with a data folder the demo's own
small ones. Distances are those of `models.runtime`: the largest error of a coordinate or score of the surest boxes, and
for an encoder the lowest cosine.
"""

import argparse
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import Any

ENOUGH = 4.0  # seconds of a measurement
LONG = 8.0  # seconds of a first pass, after which another one would tell little
BASE = "torch float32"


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, one batch, and how its outputs are compared."""

    network: Any
    batch: Any  # tuple of tensors
    compare: Callable[[Any, Any], float]

    @cached_property
    def traced(self) -> Any:
        """As OpenVINO takes it."""
        from models.converted import trace

        return trace(self.network, self.batch)

    @cached_property
    def onnx(self) -> bytes:
        """As ONNX Runtime takes it, for batches of this size."""
        import torch

        file = io.BytesIO()
        export: Any = torch.onnx.export  # its older half takes a stream too
        export(self.network, self.batch, file, dynamo=False, opset_version=17)
        return file.getvalue()


Run = Callable[..., Any]


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="data folder of a demo, for its small models")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of exporters
    logging.disable(logging.WARNING)
    import torch

    torch.manual_seed(0)
    found: dict[str, dict[str, Any]] = {}
    for name, subject in _subjects(options.data):
        for threads in options.threads:
            torch.set_num_threads(threads)
            found[f"{name}, {threads} thread(s)"] = _row(name, subject, threads)
    print(json.dumps(found))


def _row(name: str, subject: Subject, threads: int) -> dict[str, Any]:
    import torch

    row: dict[str, Any] = {}
    with torch.inference_mode():
        truth = _tuple(subject.network(*subject.batch))
    print(f"\n{name}, {threads} thread(s){'':<10}{'images/s':>10}{'× torch':>9}{'ready in s':>12}{'agreement':>14}")
    for engine, make in _engines(threads).items():
        start = perf_counter()
        try:
            run = make(subject)
        except Exception as error:  # an exporter that cannot is a result
            print(f"  {engine:<24} cannot: {type(error).__name__}: {str(error).splitlines()[0][:80]}", flush=True)
            row[engine] = None
            continue
        ready = perf_counter() - start
        speed = len(subject.batch[0]) / _seconds(partial(run, *subject.batch))
        agreement = subject.compare(truth, _tuple(run(*subject.batch)))
        row[engine] = {"images_per_second": speed, "ready": ready, "agreement": agreement}
        ratio = speed / row[BASE]["images_per_second"]
        print(f"  {engine:<24}{speed:>14.2f}{ratio:>9.2f}{ready:>12.1f}{agreement:>14.7f}", flush=True)
    return row


def _engines(threads: int) -> Mapping[str, Callable[[Subject], Run]]:
    return {
        BASE: lambda subject: _eager(subject, "float32"),
        "torch bfloat16": lambda subject: _eager(subject, "bfloat16"),
        "ONNX Runtime float32": lambda subject: _onnx(subject, threads),
        "OpenVINO float32": lambda subject: _openvino(subject, "float32"),
        "OpenVINO bfloat16": lambda subject: _openvino(subject, "bfloat16"),
    }


def _eager(subject: Subject, precision: Any) -> Run:
    import torch

    from models.device import autocast

    def run(*batch: Any) -> Any:
        with torch.inference_mode(), autocast(torch.device("cpu"), precision):
            return tuple(part.float() for part in _tuple(subject.network(*batch)))

    return run


def _openvino(subject: Subject, arithmetic: Any) -> Run:
    from models.converted import Converted

    return Converted(subject.traced, arithmetic)


def _onnx(subject: Subject, threads: int) -> Run:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(subject.onnx, options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]

    def run(*batch: Any) -> Any:
        given = {name: tensor.numpy() for name, tensor in zip(names, batch, strict=False)}
        return tuple(torch.from_numpy(output) for output in session.run(None, given))

    return run


def _subjects(data: Path | None) -> Iterator[tuple[str, Subject]]:
    import torch

    from benchmarks.networks import conditional_detr, swin_base
    from models.detector.infer import Boxes, distance
    from models.pixels import random_input

    if data is not None:
        yield from _small(data)
    detector = Boxes(conditional_detr()[0]).eval()
    photo = random_input(1, 800, 640), torch.ones(1, 800, 640, dtype=torch.int64)
    yield "Conditional DETR R50, 800×640", Subject(detector, photo, distance)
    yield "Swin-B, 224, batch 16", Subject(swin_base()[0], (random_input(16, 224, 224),), _cosine)


def _small(data: Path) -> Iterator[tuple[str, Subject]]:
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    from models.detector.infer import Boxes, distance
    from models.encoder.model import ImageEncoder
    from models.pixels import input_size, random_input

    models = data / "models"
    for name, network, batch, compare in (
        ("detector", Boxes(AutoModelForObjectDetection.from_pretrained(models / "detector")), 16, distance),
        ("encoder", ImageEncoder.load(models / "encoder"), 64, _cosine),
    ):
        height, width = input_size(AutoImageProcessor.from_pretrained(models / name))
        pictures = (random_input(batch, height, width),)
        yield f"small {name}, {height}×{width}, batch {batch}", Subject(network.eval(), pictures, compare)


def _seconds(work: Callable[[], object]) -> float:
    """Of one pass: the best of those that fit into the time, after one that is not counted unless it is very long."""
    best = _timed(work)
    if best > LONG:
        return best
    best, spent = float("inf"), 0.0
    while spent < ENOUGH:
        took = _timed(work)
        best, spent = min(best, took), spent + took
    return best


def _timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _cosine(truth: Any, found: Any) -> float:
    return float((truth[0] * found[0]).sum(1).min())


def _tuple(outputs: Any) -> Any:
    return outputs if isinstance(outputs, tuple) else (outputs,)


if __name__ == "__main__":
    main()
