"""Where models run."""

import pytest
import torch  # noqa: TID253

from models.config import TrainerConfig
from models.device import processes_for


@pytest.mark.parametrize(
    ("processes", "device", "gpus", "expected"),
    [(3, "auto", 8, 3), (0, "auto", 8, 8), (0, "auto", 0, 1), (0, "cpu", 8, 1), (0, "cuda:1", 8, 1)],
)
def test_processes_for__one_for_each_gpu(monkeypatch, processes, device, gpus, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert processes_for(TrainerConfig(pretrained="x", processes=processes, device=device)) == expected
