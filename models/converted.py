"""Networks converted to OpenVINO: straight from PyTorch, kept on disk under a name that says what they were made of.

OpenVINO is an optional dependency, and this module is imported only where it is installed.
"""

import hashlib
import json
import logging
import platform
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
_MODEL: Final = "model.xml"  # and its weights, model.bin
_VERDICT: Final = "verdict.json"
_PREFIX: Final = "openvino-"
_KEPT: Final = 3  # conversions: processes of other numbers of threads have their own


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


def trace(network: nn.Module, example: Inputs) -> Any:
    """Convert a network, in evaluation mode on the CPU, to an `openvino.Model`.

    Raises:
        Exception: of OpenVINO's kinds, or of torch's while tracing, where the architecture cannot be converted.
    """
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer: what it bakes in, the comparison that follows finds out
            return openvino.convert_model(network, example_input=example)
    finally:
        root.setLevel(level)  # which OpenVINO sets to its own liking
        root.filters[:], root.handlers[:] = filters, handlers


class Store:
    """Where a conversion is kept, or only how little it would gain: a folder `openvino-<digest>` in the cache."""

    def __init__(self, cache: Path | None, network: nn.Module, example: Inputs, arithmetic: Arithmetic) -> None:
        """The digest is of all that a conversion and its speed depend on, the processor too. No cache keeps nothing."""
        self._folder = cache / f"{_PREFIX}{_digest(network, example, arithmetic)}" if cache else None
        self.gain = self._read_gain()
        """Times PyTorch's speed, as measured when it was made; 0 where there is none."""

    def read(self) -> Any | None:
        """The conversion, if it is kept."""
        if self._folder is None or not (self._folder / _MODEL).is_file():
            return None
        return openvino.Core().read_model(self._folder / _MODEL)

    def keep(self, gain: float, model: Any | None) -> None:
        """Write under a temporary name and rename, so that there is a whole conversion or none; the oldest ones go.

        Where the cache cannot be written to, the log says so, and each process converts for itself.
        """
        if self._folder is None or self.gain:
            return
        temporary = self._folder.with_name(f".{self._folder.name}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.mkdir()
            (temporary / _VERDICT).write_text(json.dumps({"gain": gain}))
            if model is not None:
                openvino.save_model(model, temporary / _MODEL, compress_to_fp16=False)
            temporary.rename(self._folder)
            kept = sorted(self._folder.parent.glob(f"{_PREFIX}*"), key=lambda folder: folder.stat().st_mtime_ns)
            for stale in kept[:-_KEPT]:
                shutil.rmtree(stale, ignore_errors=True)
        except (OSError, RuntimeError) as error:  # read-only, full, or another process was faster
            log.info("the conversion is not kept in %s: %s", self._folder, error)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def discard(self) -> None:
        """Forget what is kept: it may be damaged."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _read_gain(self) -> float:
        if self._folder is None or not (self._folder / _VERDICT).is_file():
            return 0.0
        return float(json.loads((self._folder / _VERDICT).read_text())["gain"])


def _digest(network: nn.Module, example: Inputs, arithmetic: Arithmetic) -> str:
    digest = hashlib.blake2b(digest_size=8)
    shapes = [(tuple(tensor.shape), str(tensor.dtype)) for tensor in example]
    versions = openvino.__version__, torch.__version__
    machine = _processor(), torch.get_num_threads(), arithmetic
    digest.update(repr([network, shapes, versions, machine]).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(memoryview(tensor.detach().contiguous().flatten().view(torch.uint8).numpy()))
    return digest.hexdigest()


def _processor() -> str:
    """Its name and what it can do, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return "".join(next((line for line in lines if line.startswith(key)), "") for key in ("model name", "flags"))
