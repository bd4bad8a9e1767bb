"""Where models run."""

import pytest
import torch  # noqa: TID253

from models.config import TrainerConfig
from models.device import pick_device, processes_for


@pytest.mark.parametrize(
    ("processes", "device", "gpus", "expected"),
    [(3, "auto", 8, 3), (0, "auto", 8, 8), (0, "auto", 0, 1), (0, "cuda", 8, 8), (0, "cpu", 8, 1), (0, "cuda:1", 8, 1)],
)
def test_processes_for__one_for_each_gpu(monkeypatch, processes, device, gpus, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert processes_for(TrainerConfig(pretrained="x", processes=processes, device=device)) == expected


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("auto", True, "cuda:3"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda:3"),
        ("cuda:1", True, "cuda:1"),
        ("cpu", True, "cpu"),
    ],
)
def test_pick_device__each_process_its_own_gpu(monkeypatch, name, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert pick_device(name) == torch.device(expected)
