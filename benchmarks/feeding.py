"""How long a detector waits for its pictures: decoded and resized in turn, or ahead in a thread.

Photos as phones send them, drawn and enlarged to 1080×1350 px; the demo's small detector with random weights, on one
thread, so that loading weighs as much as on a GPU, and a network sixteen times as large as it.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any

from PIL import Image

from benchmarks.hashing import drawn_photos, enlarged
from curation.images import decode

_GROUP = 16  # photos handed on at once


class Busy:
    """A network, and how long it worked."""

    def __init__(self, run: Callable[..., Any], passes: int) -> None:
        self._run = run
        self._passes = passes
        self.seconds = 0.0

    def __call__(self, *inputs: Any) -> Any:
        """The network's outputs, as often computed as it is larger."""
        start = perf_counter()
        for _ in range(self._passes):
            outputs = self._run(*inputs)
        self.seconds += perf_counter() - start
        return outputs


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=64)
    options = parser.parse_args()
    import torch

    from models.config import make_config
    from models.detector.config import DetectorConfig
    from models.detector.infer import Detector
    from models.detector.train import build
    from models.presets import preset

    torch.manual_seed(0)
    torch.set_num_threads(1)
    detector = Detector(*build(make_config(DetectorConfig, preset("detector", "tiny"))), "random", torch.device("cpu"))
    network = detector._forward._run
    groups = _groups(options.photos)
    rows: dict[str, dict[str, float]] = {}
    for name, passes in (("small", 1), ("16 times as large", 16)):
        for way, work in (("in turn", _in_turn), ("ahead", _ahead)):
            detector._forward._run = busy = Busy(network, passes)
            start = perf_counter()
            found = sum(len(result) for result in work(detector, groups))
            seconds = perf_counter() - start
            assert found == options.photos
            rows[f"{name}, {way}"] = {"photos_per_second": found / seconds, "waiting": 1 - busy.seconds / seconds}
    print(f"{'network, photos loaded':<30}{'photos/s':>10}{'share waiting':>16}")
    for name, row in rows.items():
        print(f"{name:<30}{row['photos_per_second']:>10.1f}{row['waiting']:>16.3f}")
    print(json.dumps(rows))


def _in_turn(detector: Any, groups: Sequence[Sequence[bytes]]) -> Iterator[list[Any]]:
    return (detector.detect(_decoded(group)[1], 0.5) for group in groups)


def _ahead(detector: Any, groups: Iterable[Sequence[bytes]]) -> Iterator[list[Any]]:
    return (found for _, found in detector.detect_each(groups, _decoded, 0.5))


def _decoded(group: Sequence[bytes]) -> tuple[None, list[Image.Image]]:
    return None, [decode(data) for data in group]


def _groups(count: int) -> list[list[bytes]]:
    photos = [enlarged(data) for data in drawn_photos(count)]
    return [photos[start : start + _GROUP] for start in range(0, count, _GROUP)]


if __name__ == "__main__":
    main()
