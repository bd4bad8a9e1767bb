"""The training loop that all three models share."""

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models.batches import Batches
from models.config import TrainerConfig
from models.errors import TrainingError
from models.optimisers import build_optimisers
from models.progress import Progress, read_progress
from models.states import States
from models.training import fit, prepare


def config(**changes):
    plain = {"pretrained": "x", "device": "cpu", "precision": "float32", "weight_decay": 0.0}
    return TrainerConfig(**{**plain, "steps": 30, "learning_rate": 0.1, **changes})


def run(tmp_path, model, loss, evaluate, data="data", **changes):
    settings = config(**changes)
    states = States(tmp_path / "state", settings, data)
    batches = Batches(lambda step: step)
    with Progress(tmp_path / "progress.jsonl") as progress:
        progress("start", step=states.step)
        return fit(model, settings, batches, lambda batch, _: loss(batch), evaluate, "score", progress, states)


def test_fit__reaches_the_minimum(tmp_path):
    model = nn.Linear(1, 1)
    x = torch.tensor([[1.0], [2.0]])
    result = run(
        tmp_path, model, lambda _: (model(x) - 3 * x).pow(2).mean(), lambda: {"score": model.weight.item()}, steps=300
    )
    assert model.weight.item() == pytest.approx(3, abs=0.05)
    assert result["score"] == model.weight.item()
    losses = [row["loss"] for row in read_progress(tmp_path / "progress.jsonl", "step")]
    assert losses[-1] < losses[0] / 100


@pytest.mark.parametrize(
    ("patience", "measured", "best"),
    [(2, [1, 0, 2, 1, 1], 15), (0, [1, 0, 2, 1, 1, 2], 30)],  # of equal ones the later weights
)
def test_fit__stops_when_nothing_got_better_so_often_in_a_row(tmp_path, patience, measured, best):
    model, seen = nn.Linear(1, 1), []

    def evaluate():
        seen.append([1, 0, 2, 1, 1, 2][len(seen)])
        return {"score": float(seen[-1])}

    result = run(tmp_path, model, lambda _: model.weight.sum(), evaluate, evaluations=6, patience=patience)
    assert (seen, result["step"]) == (measured, best)


def test_fit__keeps_the_weights_of_the_best_evaluation(tmp_path):
    model = nn.Linear(1, 1)
    scores = iter([1.0, 5.0, 2.0])
    seen = []

    def evaluate():
        assert not model.training
        seen.append(model.weight.item())
        return {"score": next(scores)}

    result = run(tmp_path, model, lambda _: model.weight.sum(), evaluate, evaluations=3)
    assert (result["score"], result["step"]) == (5.0, 20)
    assert model.weight.item() == seen[1]
    assert seen[2] < seen[1] < seen[0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_fit__loss_not_finite(tmp_path, bad):
    model = nn.Linear(1, 1)
    with pytest.raises(TrainingError, match="at step 6"):
        run(tmp_path, model, lambda step: model.weight.sum() * (bad if step == 5 else 1.0), lambda: {"score": 0.0})


def test_fit__muon_learns_all_directions_of_a_matrix_alike(tmp_path):
    """The gradient is a hundred times smaller in one direction; the update is not."""
    target = torch.diag(torch.tensor([1.0, 0.1]))
    model = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(model.weight)
    steps = {"steps": 1, "evaluations": 1, "learning_rate": 0.1, "warmup": 0.0, "clip": 1e9}
    run(
        tmp_path,
        model,
        lambda _: (model(target) - target).pow(2).sum(),
        lambda: {"score": 0.0},
        **steps,
        optimiser="muon",
    )
    singular = torch.linalg.svdvals(model.weight.detach())
    assert singular.min() > 0.5 * singular.max()
    assert model.weight.detach().trace() > 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [1, 2])
def test_fit__muon_takes_a_convolution_for_a_matrix_of_a_row_per_output_channel(tmp_path, layout, side):
    torch.manual_seed(0)
    maps, weight = torch.randn(5, 6, side, side), torch.randn(4, 6, side, side)

    def learned(layer, rows):
        with torch.no_grad():
            layer.weight.copy_(weight.view_as(layer.weight))  # in its own layout
        steps = {"steps": 5, "evaluations": 1, "optimiser": "muon"}
        run(tmp_path, layer, lambda _: layer(rows).pow(2).sum(), lambda: {"score": 0.0}, **steps)
        return layer.weight.detach().flatten(1)

    of_maps = learned(nn.Conv2d(6, 4, side, bias=False).to(memory_format=layout), maps)
    of_rows = learned(nn.Linear(6 * side**2, 4, bias=False), maps.flatten(1))
    assert not torch.allclose(of_rows, weight.flatten(1), atol=1e-2)
    torch.testing.assert_close(of_maps, of_rows, atol=1e-2, rtol=0)


def test_build_optimisers__muon_leaves_embeddings_to_adamw_and_takes_a_shared_weight_once():
    model = nn.ModuleDict(
        {
            "patches": nn.Conv2d(3, 8, 4, 4, bias=False),
            "pixels": nn.Conv2d(3, 8, 3, 2, bias=False),
            "hidden": nn.Conv2d(8, 8, 3, bias=False),
            "depthwise": nn.Conv2d(8, 8, 3, groups=8, bias=False),
            "names": nn.Embedding(4, 8),
            "linear": nn.Linear(8, 8),
            "same": nn.Linear(8, 8, bias=False),
        }
    )
    model["same"].weight = model["linear"].weight
    adamw, muon = build_optimisers(model, config(optimiser="muon"))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    adamws, muons = (
        [names[id(parameter)] for group in optimiser.param_groups for parameter in group["params"]]
        for optimiser in (adamw, muon)
    )
    assert sorted(adamws) == ["depthwise.weight", "linear.bias", "names.weight", "patches.weight"]
    assert sorted(muons) == ["hidden.weight", "linear.weight", "pixels.weight"]


def test_fit__clips_gradients(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    start = model.weight.item()
    run(tmp_path, model, lambda _: model.weight.sum() * 1e9, lambda: {"score": 0.0}, steps=1, evaluations=1)
    assert abs(model.weight.item() - start) <= 0.11


@pytest.mark.slow
def test_prepare__a_compiled_network_learns_and_keeps_the_names_of_its_weights(tmp_path):
    model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    names = list(model.state_dict())
    prepare(model, config(compile=True))
    x = torch.tensor([[1.0], [2.0]])
    seen = []

    def loss(_):
        seen.append((model(x) - x).pow(2).mean())
        return seen[-1]

    run(tmp_path, model, loss, lambda: {"score": model(x).sum().item()}, steps=20)
    assert seen[-1] < seen[0]
    assert list(model.state_dict()) == names
