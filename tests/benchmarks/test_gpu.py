"""What a GPU makes of the networks, measured on a processor with small ones: the figures are those of what was run."""

import json
import sys
from typing import Any

import pytest
import torch  # noqa: TID253
from transformers import (  # noqa: TID253
    ConditionalDetrConfig,
    ConditionalDetrForObjectDetection,
    ResNetConfig,
    SwinConfig,
    SwinModel,
)

from benchmarks import gpu
from models.encoder.model import ImageEncoder


def small_swin() -> tuple[Any, Any]:
    config = SwinConfig(image_size=32, patch_size=4, window_size=4, embed_dim=16, depths=[1, 1], num_heads=[1, 2])
    return ImageEncoder(SwinModel(config), 128), None


def small_detr() -> tuple[Any, Any]:
    resnet = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16, "num_queries": 6, "num_labels": 7}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = ConditionalDetrConfig(backbone_config=resnet, **sizes, **heads)
    return ConditionalDetrForObjectDetection(config), None


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", *arguments])
    gpu.main()


def test_main__figures_of_each_network(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {
        "swin_base": small_swin,
        "conditional_detr": small_detr,
        "_SIDE": 32,
        "_PHOTO": (64, 64),
    }.items():
        monkeypatch.setattr(gpu, name, value)
    small = ("--pairs", "2", "--photos", "2", "--passes", "1", "--matrix", "64")
    run(monkeypatch, "--device", "cpu", *small, "--peak", "2")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    works = [row for row in figures.values() if isinstance(row, dict)]
    assert len(works) == 4
    for row in works:
        assert min(row["a_second"], row["tflops"], row["of_product"]) > 0
        assert row["of_peak"] == pytest.approx(row["tflops"] / 2)


def test_operations__a_step_is_three_ways_forward() -> None:
    layer, rows = torch.nn.Linear(32, 16, bias=False), torch.randn(8, 32, requires_grad=True)
    forward = gpu._operations(lambda: layer(rows))
    assert forward == 2 * 8 * 32 * 16
    assert gpu._operations(lambda: layer(rows).sum().backward()) == 3 * forward


def test_main__no_gpu_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch)
    assert "there is no GPU here" in capsys.readouterr().err
