"""States of a training: what is gone on from, and what happens when one cannot be written or read."""

import json
import logging
import resource
from contextlib import contextmanager

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models.batches import Batches
from models.config import TrainerConfig
from models.errors import TrainingError
from models.states import State, States
from models.training import fit

EVERY_STEP = 1e-9  # minutes


@contextmanager
def small_files():
    """No file of this process grows beyond 20 kB, as on a full disk; nor does pytest's report, so be brief."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def config(**changes):
    plain = {"pretrained": "x", "device": "cpu", "precision": "float32", "steps": 6, "evaluations": 1, "threads": 1}
    return TrainerConfig(**{**plain, "checkpoint_every": EVERY_STEP, "learning_rate": 0.1, **changes})


def states(folder, data="data", **changes):
    return States(folder, config(**changes), data)


def state(step, size=1):
    return State(step, {"weight": torch.full((size,), float(step))}, {"best": {"score": step}})


def weights(found):
    return found.newest.tensors["weight"].tolist() if found.newest else None


def saved(folder, *steps):
    first = states(folder)
    for step in steps:
        first.save(state(step))
    return first


def test_states__another_number_of_processes_is_told(tmp_path, caplog):
    saved(tmp_path / "state", 3)
    States(tmp_path / "state", config(), "data")
    assert "processes" not in caplog.text
    note = tmp_path / "state" / "00000003.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "processes": 8}))
    assert States(tmp_path / "state", config(), "data").step == 3
    assert "8 processes trained until step 3, now 1" in caplog.text


def test_states__the_newest_is_found_and_two_are_kept(tmp_path):
    assert states(tmp_path / "state").newest is None
    saved(tmp_path / "state", 3, 10, 200)
    found = states(tmp_path / "state")
    assert (found.step, weights(found), found.newest.facts) == (200, [200.0], {"best": {"score": 200}})
    names = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert names == ["00000010.json", "00000010.pt", "00000200.json", "00000200.pt"]


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "note"])
def test_states__a_damaged_one_is_passed_over(tmp_path, caplog, damage):
    saved(tmp_path, 1, 2)
    tensors, note = tmp_path / "00000002.pt", tmp_path / "00000002.json"
    data = tensors.read_bytes()
    if damage == "cut":
        tensors.write_bytes(data[:-50])
    elif damage == "changed":
        tensors.write_bytes(data[:200] + b"x" + data[201:])
    elif damage == "gone":
        tensors.unlink()
    else:
        note.write_text('{"config": ')
    with caplog.at_level(logging.WARNING):
        assert weights(states(tmp_path)) == [1.0]
    assert "00000002.json is damaged" in caplog.text


@pytest.mark.parametrize(("changes", "what"), [({"learning_rate": 0.2}, "config"), ({"data": "newer"}, "data")])
def test_states__of_another_training_are_ignored_and_then_removed(tmp_path, caplog, changes, what):
    saved(tmp_path, 50)
    with caplog.at_level(logging.WARNING):
        other = states(tmp_path, **changes)
    assert other.newest is None
    assert f"is of other {what} and not used" in caplog.text
    other.save(state(1))
    assert {path.stem for path in tmp_path.iterdir()} == {"00000001"}


def test_states__of_a_pretrained_checkpoint_that_was_trained_anew_are_ignored(tmp_path, caplog):
    pretrained = tmp_path / "encoder"
    pretrained.mkdir()
    for weights_of in (b"one", b"two"):
        (pretrained / "model.safetensors").write_bytes(weights_of)
        before = states(tmp_path / "state", pretrained=str(pretrained))
        assert before.newest is None
        before.save(state(9))
    assert "is of other start and not used" in caplog.text
    assert states(tmp_path / "state", pretrained=str(pretrained)).step == 9


def test_states__due_by_the_clock(tmp_path):
    assert states(tmp_path).due
    assert not states(tmp_path, checkpoint_every=60.0).due
    assert not states(tmp_path, checkpoint_every=0.0).due


def test_save__full_disk_keeps_the_last_one(tmp_path):
    full = saved(tmp_path, 1)
    kept = r"cannot save the state of step 2: .*; the state of step 1 is kept in "
    with pytest.raises(TrainingError, match=kept), small_files():
        full.save(state(2, size=100_000))
    assert weights(states(tmp_path)) == [1.0]
    assert {path.stem for path in tmp_path.iterdir()} == {"00000001"}


def run(folder, loss, **changes):
    model = nn.Linear(1, 1)
    settings = config(**changes)
    batches, found = Batches(lambda step: step), States(folder, settings, "data")
    score = iter(range(100, 0, -1))
    arguments = (lambda: {"score": next(score)}, "score", lambda *_, **__: None, found)
    result = fit(model, settings, batches, loss(model), *arguments)
    assert found.newest is None  # no training holds what it went on from
    return model, result


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_fit__loss_not_finite_names_the_last_good_state(tmp_path, bad):
    def loss(model):
        return lambda batch, _: model.weight.sum() * (bad if batch == 4 else 1.0)

    with pytest.raises(TrainingError, match=r"at step 5: .*; the state of step 4 is kept in "):
        run(tmp_path, loss)
    assert states(tmp_path).step == 4


def test_fit__gradient_not_finite(tmp_path):
    def loss(model):
        return lambda *_: (model.weight * 0).abs().sqrt().sum()

    with pytest.raises(TrainingError, match=r"its gradient nan at step 1: .*; no state was saved before"):
        run(tmp_path, loss)


def test_fit__stops_early_when_nothing_gets_better(tmp_path):
    seen = []

    def loss(model):
        return lambda batch, _: seen.append(batch) or model.weight.sum()

    _, result = run(tmp_path, loss, steps=20, evaluations=20, patience=3)
    assert seen == [0, 1, 2, 3]
    assert (result["step"], result["score"]) == (1, 100)


def test_fit__a_finished_training_is_not_done_again(tmp_path):
    def loss(model):
        return lambda *_: model.weight.sum() * torch.rand(())

    first, _ = run(tmp_path, loss)
    again, result = run(tmp_path, lambda _: pytest.fail)
    assert torch.equal(first.weight, again.weight)
    assert result["score"] == 100


def test_states__of_a_release_that_did_not_note_the_weights_it_started_from(tmp_path, caplog):
    (tmp_path / "model.safetensors").write_bytes(b"one")

    def found(folder, pretrained):
        states(folder, pretrained=pretrained).save(state(9))
        note = folder / "00000009.json"
        said = json.loads(note.read_text())
        del said["start"]
        note.write_text(json.dumps(said))
        return states(folder, pretrained=pretrained).newest

    assert found(tmp_path / "of_the_hub", "x") is not None
    assert found(tmp_path / "of_a_folder", str(tmp_path)) is None
    assert "is of other start and not used" in caplog.text
