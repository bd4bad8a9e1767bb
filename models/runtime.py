"""What runs a trained network: PyTorch, or on a CPU OpenVINO, which is two to three times as fast (decision 15).

The one place that chooses. A converted network is compared with the original each time it is loaded, and refused where
they differ; whatever goes wrong, PyTorch runs the network and the log says why.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
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
TOLERANCE: Final[Mapping[Arithmetic, float]] = {"float32": 1e-3, "bfloat16": 5e-2}
"""Largest distance of a converted network from the original in float32."""


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
        engine: `auto` converts networks of at least `LEAST_PARAMETERS`, `openvino` any, `torch` none.
        cache: folder in which a conversion is kept for the next time, such as the checkpoint's; None: in memory only.
    """
    size = sum(parameter.numel() for parameter in network.parameters())
    if device.type != "cpu" or engine == "torch" or (engine == "auto" and size < LEAST_PARAMETERS):
        return network
    name = type(network).__name__
    if find_spec("openvino") is None:
        log.info(
            "%s runs in PyTorch: OpenVINO, faster on CPUs, is not installed (pip install 'fashion-pairs[cpu]')", name
        )
        return network
    from models.converted import convert

    arithmetic: Arithmetic = "bfloat16" if computes_in_bfloat16(device, precision) else "float32"
    try:
        converted = convert(network, probes[0], arithmetic, cache)
        worst = max(_distance(network, converted, probe, distance) for probe in probes)
    except Exception:  # of many kinds, by architecture; PyTorch runs what OpenVINO cannot
        log.warning("%s runs in PyTorch: OpenVINO cannot convert it", name, exc_info=True)
        return network
    if not worst <= TOLERANCE[arithmetic]:  # nor is NaN
        log.warning("%s runs in PyTorch: in OpenVINO it is %.2g off, more than %g", name, worst, TOLERANCE[arithmetic])
        return network
    log.info("%s runs in OpenVINO, %s, %.2g off PyTorch", name, arithmetic, worst)
    return converted


def _distance(network: nn.Module, converted: Run, probe: Inputs, distance: Distance) -> float:
    with torch.inference_mode():
        return distance(_tuple(network(*probe)), _tuple(converted(*probe)))


def _tuple(outputs: Outputs | Tensor) -> Outputs:
    return outputs if isinstance(outputs, tuple) else (outputs,)
