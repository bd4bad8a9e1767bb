"""What a step of Muon costs beside torch's own, on this machine: the weights of the demo's small networks, one thread.

Gradients are drawn, and no network runs: the step alone is timed. It is the best of some repetitions, since other work
on the machine only ever adds.
"""

import argparse
import json
from collections.abc import Callable
from time import perf_counter
from typing import Any


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    import torch

    from models.device import computes_in_bfloat16

    torch.manual_seed(0)
    torch.set_num_threads(1)
    native = computes_in_bfloat16(torch.device("cpu"), "auto")
    print(f"bfloat16 is {'native' if native else 'emulated'} here")
    print(f"{'network':<12}{'weights':>9}{'Muon, ms':>12}{'torch.optim.Muon, ms':>24}{'times':>8}")
    figures = {}
    for kind, network in _networks().items():
        ours, theirs = _optimisers(network)
        count = len(ours.param_groups[0]["params"])
        own, other = (_fastest(optimiser.step, options.steps) for optimiser in (ours, theirs))
        figures[f"{kind}_torch_vs_ours"] = other / own
        print(f"{kind:<12}{count:>9}{own * 1000:>12.1f}{other * 1000:>24.1f}{other / own:>8.1f}")
    print(json.dumps({"bfloat16": native, **figures}))


def _networks() -> dict[str, Any]:
    from models.classifier.config import ClassifierConfig
    from models.classifier.train import build as classifier
    from models.config import make_config
    from models.detector.config import DetectorConfig
    from models.detector.train import build as detector
    from models.encoder.config import EncoderConfig
    from models.encoder.train import build as encoder
    from models.presets import preset

    return {
        "detector": detector(make_config(DetectorConfig, preset("detector", "tiny")))[0],
        "classifier": classifier(make_config(ClassifierConfig, preset("classifier", "tiny")))[0],
        "encoder": encoder(make_config(EncoderConfig, preset("encoder", "tiny")))[0],
    }


def _optimisers(network: Any) -> tuple[Any, Any]:
    """Ours, as a training builds it, and torch's on the same weights as matrices; both with gradients."""
    import torch

    from models.config import TrainerConfig, make_config
    from models.optimisers import build_optimisers

    _, ours = build_optimisers(network, make_config(TrainerConfig, {"pretrained": "none", "optimiser": "muon"}))
    matrices = []
    for weight in ours.param_groups[0]["params"]:
        weight.grad = torch.randn_like(weight)
        matrices.append(torch.nn.Parameter(weight.detach().flatten(1).clone()))
        matrices[-1].grad = weight.grad.flatten(1).clone()
    return ours, torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw")


def _fastest(step: Callable[[], Any], repetitions: int) -> float:
    """Seconds of the fastest of some calls, after one that is not counted."""
    step()
    seconds = []
    for _ in range(repetitions):
        start = perf_counter()
        step()
        seconds.append(perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
