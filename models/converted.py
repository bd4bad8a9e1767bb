"""Networks converted to OpenVINO: straight from PyTorch, kept on disk under a name that says what they were made of.

OpenVINO is an optional dependency, and this module is imported only where it is installed.
"""

import hashlib
import logging
import shutil
import sys
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models.runtime import Arithmetic, Inputs, Outputs

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # it would report each use to its makers
import openvino  # noqa: E402

log = logging.getLogger(__name__)

_HINTS: Final[Mapping[Arithmetic, str]] = {"float32": "f32", "bfloat16": "bf16"}
_FILE: Final = "model.xml"  # and its weights, model.bin
_PREFIX: Final = "openvino-"


class Converted:
    """A network that OpenVINO runs on the CPU, in as many threads as torch may use now. For one thread at a time."""

    def __init__(self, model: Any, arithmetic: Arithmetic) -> None:
        """Compile an `openvino.Model` once; batches and pictures of other sizes need no further compilation."""
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[arithmetic],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # processes side by side would all pin themselves to the first cores
        }
        self._compiled = openvino.Core().compile_model(model, "CPU", options)

    def __call__(self, *inputs: torch.Tensor) -> Outputs:
        """CPU tensors → CPU tensors."""
        outputs = self._compiled([tensor.numpy() for tensor in inputs])
        return tuple(torch.from_numpy(outputs[place]) for place in range(len(outputs)))


def convert(network: nn.Module, example: Inputs, arithmetic: Arithmetic, cache: Path | None) -> Converted:
    """Convert a network, or read what an earlier call left in `cache`.

    Args:
        network: in evaluation mode, on the CPU.
        example: a batch to trace it with.
        arithmetic: in which it shall compute.
        cache: folder, or None. Where it cannot be written to, the conversion is made in memory each time.

    Raises:
        Exception: of OpenVINO's kinds, or of torch's while tracing, where the architecture cannot be converted.
    """
    if cache is None:
        return Converted(_traced(network, example), arithmetic)
    folder = cache / f"{_PREFIX}{_key(network, example)}"
    if (folder / _FILE).is_file():
        return Converted(openvino.Core().read_model(folder / _FILE), arithmetic)
    model = _traced(network, example)
    _keep(model, folder)
    return Converted(model, arithmetic)


def _traced(network: nn.Module, example: Inputs) -> Any:
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer: what it bakes in, the comparison that follows finds out
            return openvino.convert_model(network, example_input=example)
    finally:
        root.setLevel(level)  # which OpenVINO sets to its own liking
        root.filters[:], root.handlers[:] = filters, handlers


def _key(network: nn.Module, example: Inputs) -> str:
    """Digest of all that a conversion depends on."""
    digest = hashlib.blake2b(digest_size=8)
    shapes = [(tuple(tensor.shape), str(tensor.dtype)) for tensor in example]
    digest.update(repr([type(network).__name__, shapes, openvino.__version__, torch.__version__]).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(memoryview(tensor.detach().contiguous().flatten().view(torch.uint8).numpy()))
    return digest.hexdigest()


def _keep(model: Any, folder: Path) -> None:
    """Write a conversion under a temporary name and rename it, so that there is a whole one or none."""
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.mkdir()
        openvino.save_model(model, temporary / _FILE, compress_to_fp16=False)
        for stale in folder.parent.glob(f"{_PREFIX}*"):
            shutil.rmtree(stale, ignore_errors=True)
        temporary.rename(folder)
    except (OSError, RuntimeError) as error:  # read-only, full, or another process was faster
        log.info("the conversion is not kept in %s: %s", folder, error)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
