"""Where the time of one query goes: decode, detect, embed, search; the demo's small models and full-size ones.

Takes the data folder of a finished `make demo`. The full-size models have random weights and find nothing, so theirs
are the boxes that the small detector finds; they search the same index.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from PIL import Image

from models.boxes import Detection
from models.device import Precision
from models.runtime import Engine
from search.protocols import Detector, Encoder
from search.query import SearchService

_PHOTOS = 6
_STEPS = ("decode", "detect", "embed", "search")


class _Stand:
    """A detector that works like one and answers like another."""

    def __init__(self, works: Detector, answers: Detector) -> None:
        self._works, self._answers, self._known = works, answers, dict[bytes, Sequence[Detection]]()

    def detect(self, images: Sequence[Image.Image], threshold: float) -> Sequence[Sequence[Detection]]:
        for image in images:
            if image.tobytes() not in self._known:  # beforehand: the first round is not measured
                self._known[image.tobytes()] = self._answers.detect([image], threshold)[0]
        self._works.detect(images, threshold)
        return [self._known[image.tobytes()] for image in images]


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data folder of a finished demo")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    parser.add_argument("--rounds", type=int, default=1, help="over the example photos, after one that is not counted")
    options = parser.parse_args()
    paths = sorted((options.data / "examples").glob("*.jpg"))[:_PHOTOS]
    if not paths:
        parser.error(f"{options.data} holds no examples/*.jpg; name the data folder of a finished demo")
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    photos = [path.read_bytes() for path in paths]
    tiny = SearchService.open(options.data)
    rows = {"tiny, float32": _measure(tiny, photos, 5 * options.rounds)}
    ways: list[tuple[Precision, Engine]] = [("float32", "torch"), ("bfloat16", "torch"), ("float32", "openvino")]
    for precision, engine in ways:
        service = SearchService(*_full(options.data, tiny, precision, engine), tiny.index)
        rows[f"{engine}, {precision}"] = _measure(service, photos, options.rounds)
    print(f"{len(photos)} photos, torch on {options.threads} thread(s); median milliseconds of a query")
    print(f"{'':<19}" + "".join(f"{name:>9}" for name in (*_STEPS, "whole", "p95")))
    for name, row in rows.items():
        print(f"{name:<19}" + "".join(f"{row[step]:>9.1f}" for step in (*_STEPS, "whole", "p95")))
    print(json.dumps(rows))


def _full(data: Path, tiny: SearchService, precision: Precision, engine: Engine) -> tuple[Detector, Encoder]:
    """The full profile's architectures with random weights, under the index's version."""
    import torch

    from benchmarks.networks import conditional_detr, swin_base
    from models.detector.infer import Detector as TrainedDetector
    from models.encoder.infer import Encoder as TrainedEncoder

    device = torch.device("cpu")
    detector = TrainedDetector(*conditional_detr(), "random", device, precision, engine)
    manifest = tiny.index.manifest
    encoder = TrainedEncoder(*swin_base(manifest.dim), manifest.encoder_version, device, precision, engine)
    return _Stand(detector, TrainedDetector.load(data / "models" / "detector")), encoder


def _measure(service: SearchService, photos: Sequence[bytes], rounds: int) -> dict[str, float]:
    seconds: list[dict[str, float]] = []
    for number in range(rounds + 1):
        for photo in photos:
            start = perf_counter()
            answer = service.search(photo, top=24)
            if number:
                seconds.append({**answer.seconds, "whole": perf_counter() - start})
    found = {step: 1e3 * median(row[step] for row in seconds) for step in (*_STEPS, "whole")}
    found["p95"] = 1e3 * sorted(row["whole"] for row in seconds)[int(0.95 * len(seconds))]
    return {step: round(value, 1) for step, value in found.items()}


if __name__ == "__main__":
    main()
