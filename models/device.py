"""Where and in which precision a model runs: device, threads, autocast. Nothing else in the room asks for CUDA."""

import contextlib
import functools
import os
from pathlib import Path
from typing import Literal

import torch  # noqa: TID253

from models.config import TrainerConfig

Precision = Literal["auto", "float32", "bfloat16"]


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is `cuda` where there is a device, else the CPU. Of `cuda`, each process that trains takes its own device.

    Other names are torch's.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name, int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)


def processes_for(config: TrainerConfig) -> int:
    """How many processes of this machine train together: as many as configured, or one for each GPU, at least one."""
    return config.processes or max(1, torch.cuda.device_count() if config.device in ("auto", "cuda") else 1)


def set_threads(threads: int) -> int:
    """Cap torch's CPU threads and return the number in use; 0 takes the cores that this process may run on.

    Two torch processes with more threads than cores spin on each other: measured at least four times slower than one
    thread each.
    """
    wanted = threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(wanted)
    return wanted


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """Run the forward pass in bfloat16 where that pays. Weights, their gradients and the encoder's loss stay float32.

    `auto` is bfloat16 on CUDA and on CPUs with native bfloat16 arithmetic (measured there: 2.3 times faster for a Swin
    step, 1.3 times for an RT-DETRv2 step), float32 elsewhere, where it is emulated and slower.
    """
    if computes_in_bfloat16(device, precision):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def computes_in_bfloat16(device: torch.device, precision: Precision) -> bool:
    """Whether a precision means bfloat16 on a device."""
    return precision == "bfloat16" or (precision == "auto" and _has_bfloat16(device))


def inference_precision(device: torch.device) -> Precision:
    """Of detectors and classifiers that nobody asked otherwise of: bfloat16 on CUDA where it is native, else float32.

    On CPUs with native bfloat16 it is faster too, but moves boxes and probabilities, for which thresholds were chosen.
    """
    return "auto" if device.type == "cuda" else "float32"


def loaders(device: torch.device) -> int:
    """Threads that load pictures for a model on a device: a GPU needs several, a CPU core that computes needs one."""
    return min(8, len(os.sched_getaffinity(0))) if device.type == "cuda" else 1


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _cpu_has_bfloat16()


@functools.cache
def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:  # not Linux: float32 is always right
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
