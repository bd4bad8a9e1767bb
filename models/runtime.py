"""What runs a trained network: PyTorch, or on a CPU OpenVINO where it is faster and agrees (decision 15).

The one place that chooses. A conversion is compared with the original each time it is loaded, and timed beside it the
first time; whatever speaks against it, PyTorch runs the network and the log says why.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import Final, Literal

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from models.device import Precision, computes_in_bfloat16

log = logging.getLogger(__name__)

Arithmetic = Literal["float32", "bfloat16"]
Engine = Literal["auto", "torch", "openvino"]
Inputs = tuple[Tensor, ...]
"""A batch: tensors whose first dimension are its rows."""
Outputs = tuple[Tensor, ...]
Run = Callable[..., Outputs | Tensor]
"""The tensors of a batch → the network's outputs."""
Distance = Callable[[Outputs, Outputs], float]
"""How far a converted network's outputs are from the original's, on a scale on which 1e-3 is harmless."""

LEAST_PARAMETERS: Final = 10_000_000
"""Of a network that is converted unasked. Below, converting costs more than it saves: the demo's detector would win a
few seconds in a run of half an hour, its classifier and encoder lose some."""
LEAST_GAIN: Final = 1.1
"""Times PyTorch's speed, from which a conversion is used: it depends on the processor."""
TOLERANCE: Final[Mapping[Arithmetic, float]] = {"float32": 1e-3, "bfloat16": 5e-2}
"""Largest distance of a converted network from the original in float32."""
_TIMES: Final = 2  # that a batch is timed, of which the faster counts


def compile_for(
    network: nn.Module,
    probes: Sequence[Inputs],
    device: torch.device,
    distance: Distance,
    *,
    precision: Precision = "float32",
    engine: Engine = "auto",
    cache: Path | None = None,
) -> Run:
    """What runs `network` fastest on `device`: the network itself, or a conversion that agrees with it.

    Args:
        network: on the device, in evaluation mode; takes and gives tensors only.
        probes: small batches. The first serves to convert; on all of them the conversion must agree. They should differ
            in the number of rows, and in whatever else the network's input may differ in.
        device: where it runs; nothing is converted but for a CPU.
        distance: of two networks' outputs.
        precision: of the arithmetic; bfloat16 is emulated, and slower, where a CPU has none.
        engine: `auto` converts networks of at least `LEAST_PARAMETERS` and uses what is faster; `openvino` converts any
            and uses it if it agrees; `torch` converts none.
        cache: folder in which a conversion, or what spoke against it, is kept for the next time, such as the
            checkpoint's; None: in memory only.
    """
    size = sum(parameter.numel() for parameter in network.parameters())
    if device.type != "cpu" or engine == "torch" or (engine == "auto" and size < LEAST_PARAMETERS):
        return network
    name = type(network).__name__
    if find_spec("openvino") is None:
        log.info("%s runs in PyTorch: OpenVINO, faster on many CPUs, is not installed ('fashion-pairs[cpu]')", name)
        return network
    arithmetic: Arithmetic = "bfloat16" if computes_in_bfloat16(device, precision) else "float32"
    try:
        return _better(network, probes, distance, arithmetic, cache, only_if_faster=engine == "auto")
    except Exception:  # of many kinds, by architecture; PyTorch runs what OpenVINO cannot
        log.warning("%s runs in PyTorch: OpenVINO cannot convert it", name, exc_info=True)
        return network


def _better(
    network: nn.Module,
    probes: Sequence[Inputs],
    distance: Distance,
    arithmetic: Arithmetic,
    cache: Path | None,
    *,
    only_if_faster: bool,
) -> Run:
    """A conversion, unless it is known to be slower or turns out to be, or is too far off."""
    from models.converted import Converted, Store, trace

    name, most = type(network).__name__, TOLERANCE[arithmetic]
    store = Store(cache, network, probes[0], arithmetic)
    if only_if_faster and 0 < store.gain < LEAST_GAIN:
        log.info("%s runs in PyTorch: when last tried here, OpenVINO was %.2g times as fast", name, store.gain)
        return network
    try:
        model = store.read() or trace(network, probes[0])
        converted = Converted(model, arithmetic)
        worst = max(_distance(network, converted, probe, distance) for probe in probes)
    except Exception:
        store.discard()  # it may be damaged
        raise
    if not worst <= most:  # nor is NaN
        log.warning("%s runs in PyTorch: in OpenVINO it is %.2g off, more than %g", name, worst, most)
        store.discard()
        return network
    gain = store.gain or _seconds(network, probes[0]) / _seconds(converted, probes[0])
    store.keep(gain, None if gain < LEAST_GAIN else model)
    used = gain >= LEAST_GAIN or not only_if_faster
    said = "%s runs in %s: OpenVINO is %.2g times as fast, and %.2g off"
    log.info(said, name, "OpenVINO" if used else "PyTorch", gain, worst)
    return converted if used else network


def _distance(network: nn.Module, converted: Run, probe: Inputs, distance: Distance) -> float:
    with torch.inference_mode():
        return distance(_tuple(network(*probe)), _tuple(converted(*probe)))


def _seconds(run: Run, batch: Inputs) -> float:
    """Of the processor for a pass: what else it is busy with does not count."""
    best = float("inf")
    for _ in range(_TIMES):
        start = process_time()
        with torch.inference_mode():
            run(*batch)
        best = min(best, process_time() - start)
    return best


def _tuple(outputs: Outputs | Tensor) -> Outputs:
    return outputs if isinstance(outputs, tuple) else (outputs,)
