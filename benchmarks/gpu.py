"""What a GPU makes of the full-size networks: pictures a second in training and at work, and the share of its peak.

Weights are random, and the inputs lie on the device: the networks are measured, and not the loading of pictures
(`benchmarks.feeding`). There are two yardsticks: a product of large matrices on the same device in the same run, and
the peak that the maker states, if it is given. All is in bfloat16, as the full profile trains; a step is the way
forward, the way back, and AdamW.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import torch  # noqa: TID253
from torch import nn  # noqa: TID253
from torch.utils.flop_counter import FlopCounterMode  # noqa: TID253

from benchmarks.networks import conditional_detr, swin_base
from models.config import TrainerConfig, make_config
from models.detector.config import DetectorConfig
from models.device import autocast
from models.encoder.config import EncoderConfig
from models.encoder.loss import PairLoss
from models.optimisers import build_optimisers
from models.pixels import random_input
from models.presets import preset

_SIDE: Final = 224  # px: what Swin-B takes
_PHOTO: Final = (800, 640)  # px: a photo as Conditional DETR takes it
_GARMENTS: Final = 5  # boxes of a photo
_WARM: Final = 3  # passes before the clock runs
_TERA: Final = 1e12


@dataclass(frozen=True)
class Work:
    """One pass of something that is measured."""

    name: str
    items: int  # pairs or pictures of a pass
    run: Callable[[], object]


def main() -> None:
    """Print a table, and its figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="of torch (default cuda)")
    parser.add_argument("--pairs", type=int, default=128, help="of a step of the encoder (default 128)")
    parser.add_argument("--photos", type=int, default=16, help="of a step of the detector (default 16)")
    parser.add_argument("--passes", type=int, default=20, help="that are timed (default 20)")
    parser.add_argument("--matrix", type=int, default=8192, help="rows of the matrices (default 8192)")
    parser.add_argument("--peak", type=float, help="TFLOP/s in bfloat16, dense, as the maker states them")
    parser.add_argument("--compile", action="store_true", help="let torch.compile write code for the networks")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here; --device cpu measures the processor")
    torch.manual_seed(0)
    product = _matrices(device, options.matrix)
    yardstick = 2 * options.matrix**3 / _seconds(product.run, device, options.passes) / _TERA
    print(f"{'':<28}{'a second':>10}{'TFLOP/s':>10}{'of product':>12}{'of peak':>10}")
    print(f"{product.name:<28}{'':>10}{yardstick:>10.1f}{1:>12.0%}{_share(yardstick, options.peak):>10}", flush=True)
    figures: dict[str, Any] = {"matrix_product_tflops": yardstick, "device": _named(device)}
    for work in _works(device, options):
        seconds = _seconds(work.run, device, options.passes)
        speed, rate = work.items / seconds, _operations(work.run) / seconds / _TERA
        peak = rate / options.peak if options.peak else None
        figures[work.name] = {"a_second": speed, "tflops": rate, "of_product": rate / yardstick, "of_peak": peak}
        shares = f"{rate / yardstick:>12.1%}{_share(rate, options.peak):>10}"
        print(f"{work.name:<28}{speed:>10.1f}{rate:>10.1f}{shares}", flush=True)
    print(json.dumps(figures))


def _works(device: torch.device, options: argparse.Namespace) -> Iterator[Work]:
    """One after the other, so that a network is gone before the next one comes."""
    for make in (_encoder, _detector):
        yield from make(device, options)


def _encoder(device: torch.device, options: argparse.Namespace) -> tuple[Work, Work]:
    """A step on pairs; embedding as many crops."""
    pairs, config = options.pairs, make_config(EncoderConfig, preset("encoder", "full"))
    network = swin_base()[0].train().to(device)
    contrast = PairLoss(config, pairs).to(device)
    images, labels = random_input(2 * pairs, _SIDE, _SIDE).to(device), torch.arange(pairs, device=device)
    if options.compile:
        network.backbone.compile()

    def loss() -> torch.Tensor:
        vectors = network(images)
        value: torch.Tensor = contrast(vectors[:pairs], vectors[pairs:], labels)
        return value

    step = _step(nn.ModuleList([network, contrast]), config, loss, device)
    embed = _inference(network, device, images)
    return Work("Swin-B, training, pairs", pairs, step), Work("Swin-B, crops", 2 * pairs, embed)


def _detector(device: torch.device, options: argparse.Namespace) -> tuple[Work, Work]:
    """A step on photos; finding garments in as many."""
    photos, config = options.photos, make_config(DetectorConfig, preset("detector", "full"))
    network = conditional_detr()[0].train().to(device)
    images, mask = random_input(photos, *_PHOTO).to(device), torch.ones(photos, *_PHOTO, dtype=torch.int64).to(device)
    boxes = torch.rand(photos, _GARMENTS, 4, device=device) / 2 + 0.2  # within the photo, centre and size
    kinds = torch.arange(_GARMENTS, device=device)
    labels = [{"class_labels": kinds, "boxes": of_photo} for of_photo in boxes]
    if options.compile:
        network.compile()
    step = _step(network, config, lambda: network(images, mask, labels=labels).loss, device)
    find = _inference(network, device, images, mask)
    return Work("Conditional DETR, training", photos, step), Work("Conditional DETR, photos", photos, find)


def _step(
    model: nn.Module, config: TrainerConfig, loss: Callable[[], torch.Tensor], device: torch.device
) -> Callable[[], None]:
    optimisers = build_optimisers(model, config)

    def run() -> None:
        model.train()
        with autocast(device, "bfloat16"):
            value = loss()
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        for optimiser in optimisers:
            optimiser.step()

    return run


def _inference(network: nn.Module, device: torch.device, *inputs: torch.Tensor) -> Callable[[], None]:
    def run() -> None:
        network.eval()
        with torch.inference_mode(), autocast(device, "bfloat16"):
            network(*inputs)

    return run


def _matrices(device: torch.device, rows: int) -> Work:
    left, right = (torch.randn(rows, rows, device=device, dtype=torch.bfloat16) for _ in range(2))
    return Work(f"product of {rows}×{rows}", 1, lambda: left @ right)


def _seconds(run: Callable[[], object], device: torch.device, passes: int) -> float:
    """Mean of one pass, when the device has done them all."""
    for _ in range(_WARM):
        run()
    _wait(device)
    start = perf_counter()
    for _ in range(passes):
        run()
    _wait(device)
    return (perf_counter() - start) / passes


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _operations(run: Callable[[], object]) -> float:
    """Floating-point operations of one pass in matrix products, convolutions and attention."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def _share(rate: float, peak: float | None) -> str:
    return f"{rate / peak:.1%}" if peak else "-"


def _named(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    main()
