"""The prior work's training loop, written plainly: one direction, no mask, each picture decoded and varied every time.

Loss, augmentation, batch as it comes, mixed precision and AdamW follow the published notebooks.
"""

import io
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253
from PIL import Image
from torch import Tensor, nn  # noqa: TID253
from torch.utils.data import DataLoader, Dataset  # noqa: TID253
from torchvision.transforms import v2  # noqa: TID253

from models.device import autocast

_TEMPERATURE = 0.07


class _Pairs(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, file: Path, side: int) -> None:
        self._rows = pq.read_table(file, columns=["anchor", "positive"]).to_pylist()
        self._transform = v2.Compose(
            [
                v2.Resize((side, side)),
                v2.RandomHorizontalFlip(0.5),
                v2.RandomApply([v2.RandomRotation(90)], 0.3),
                v2.RandomApply([v2.ColorJitter(0.2, 0.2, 0.2)], 0.2),
                v2.RandomAdjustSharpness(2, 0.1),
                v2.RandomApply([v2.GaussianBlur(5)], 0.1),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.5] * 3, [0.5] * 3),
                v2.RandomErasing(0.1),
            ]
        )

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self._rows[index]
        first, second = (Image.open(io.BytesIO(row[name]["bytes"])).convert("RGB") for name in ("anchor", "positive"))
        return self._transform(first), self._transform(second)


def train_as_before(network: nn.Module, file: Path, side: int, batch: int, steps: int) -> dict[str, float]:
    """Train `network` (images → unit vectors) and return `rows_per_second` and `data_wait`."""
    loader = DataLoader(_Pairs(file, side), batch, shuffle=True, drop_last=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-5)
    network.train()
    batches: Any = iter(loader)
    begin, waited = time.monotonic(), 0.0
    for _ in range(steps):
        start = time.monotonic()
        anchors, positives = _next(batches) or (batches := iter(loader)).__next__()
        waited += time.monotonic() - start
        with autocast(torch.device("cpu"), "auto"):
            logits = network(anchors) @ network(positives).T / _TEMPERATURE
        loss = F.cross_entropy(logits.float(), torch.arange(batch))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    seconds = time.monotonic() - begin
    return {"rows_per_second": batch * steps / seconds, "data_wait": waited / seconds}


def _next(batches: Any) -> Any:
    return next(batches, None)
