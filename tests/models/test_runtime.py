"""What runs a network: conversions that agree, are kept, and are refused where they do not."""

import logging
from importlib.util import find_spec

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from models import runtime
from models.runtime import TOLERANCE, compile_for

CPU = torch.device("cpu")
PROBES = [(torch.rand(rows, 3, 8, 8),) for rows in (2, 3)]

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is optional")


class Net(nn.Module):
    """Small, with a dropout that must be off."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 2))

    def forward(self, images):
        return self.layers(images)


class Other(Net):
    """Converts to something else: what the tracer bakes in is not what it computes."""

    def forward(self, images):
        return self.layers(images) + float(len(images) == 2)


class Untraceable(Net):
    def forward(self, images):
        raise RuntimeError("not this one") if torch.jit.is_tracing() else None
        return self.layers(images)


@pytest.fixture
def timed(monkeypatch):
    """Conversions are so many times as fast, however busy the machine is."""

    def set_gain(gain):
        monkeypatch.setattr(runtime, "_seconds", lambda run, _: gain if isinstance(run, nn.Module) else 1.0)

    return set_gain


def largest(original, converted):
    return float((original[0] - converted[0]).abs().max())


def compiled(network, device=CPU, **options):
    return compile_for(network.eval(), PROBES, device, largest, **{"engine": "openvino", **options})


@needs_openvino
def test_compile_for__agrees_whatever_the_batch():
    network = Net()
    run = compiled(network)
    assert run is not network
    for rows in (1, 2, 5, 17, 5):
        batch = torch.rand(rows, 3, 8, 8)
        (found,) = run(batch)
        torch.testing.assert_close(found, network(batch), atol=TOLERANCE["float32"], rtol=0)


@needs_openvino
def test_compile_for__what_disagrees_is_refused(caplog):
    network = Other()
    with caplog.at_level(logging.WARNING):
        assert compiled(network) is network
    assert "Other runs in PyTorch: in OpenVINO it is 1 off" in caplog.text


@needs_openvino
def test_compile_for__what_cannot_be_converted_says_why(caplog):
    network = Untraceable()
    with caplog.at_level(logging.WARNING):
        assert compiled(network) is network
    assert "OpenVINO cannot convert it" in caplog.text
    assert "not this one" in caplog.text


@needs_openvino
def test_compile_for__not_a_number_is_refused():
    network = Net()
    assert compile_for(network.eval(), PROBES, CPU, lambda *_: float("nan"), engine="openvino") is network


@needs_openvino
def test_compile_for__keeps_the_conversion(tmp_path, timed, monkeypatch):
    timed(gain=2.0)
    network = Net()
    compiled(network, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    assert {path.name for path in kept.iterdir()} == {"model.xml", "model.bin", "verdict.json"}
    monkeypatch.setattr("openvino.convert_model", lambda *_, **__: pytest.fail("converted again"))
    monkeypatch.setattr(runtime, "_seconds", lambda *_: pytest.fail("timed again"))
    (found,) = compiled(network, cache=tmp_path)(*PROBES[0])
    torch.testing.assert_close(found, network(*PROBES[0]), atol=1e-4, rtol=0)


@needs_openvino
def test_compile_for__what_is_kept_must_agree_too(tmp_path, timed, caplog):
    timed(gain=2.0)
    network = Net()
    compiled(network, cache=tmp_path)
    (weights,) = tmp_path.glob("*/model.bin")
    damaged = bytearray(weights.read_bytes())
    damaged[: len(damaged) // 2] = bytes(len(damaged) // 2)
    weights.write_bytes(damaged)
    assert compiled(network, cache=tmp_path) is network
    assert "Net runs in PyTorch" in caplog.text
    assert compiled(network, cache=tmp_path) is not network  # converted anew


@needs_openvino
def test_compile_for__what_is_slower_is_not_used_nor_tried_again(tmp_path, timed, monkeypatch, caplog):
    monkeypatch.setattr(runtime, "LEAST_PARAMETERS", 100)
    timed(gain=0.5)
    network = Net()
    assert compiled(network, engine="auto", cache=tmp_path) is network
    assert [path.name for path in tmp_path.glob("*/*")] == ["verdict.json"]
    monkeypatch.setattr("openvino.convert_model", lambda *_, **__: pytest.fail("converted again"))
    with caplog.at_level(logging.INFO):
        assert compiled(network, engine="auto", cache=tmp_path) is network
    assert "when last tried here, OpenVINO was 0.5 times as fast" in caplog.text


@needs_openvino
def test_compile_for__other_weights_have_their_own_and_the_oldest_goes(tmp_path, timed):
    timed(gain=2.0)
    kept = []
    for _ in range(4):
        network = Net()
        (found,) = compiled(network, cache=tmp_path)(*PROBES[0])
        torch.testing.assert_close(found, network(*PROBES[0]), atol=1e-4, rtol=0)
        kept.append(set(tmp_path.iterdir()))
    assert [len(folders) for folders in kept] == [1, 2, 3, 3]
    assert kept[2] - kept[3] == kept[0]


@needs_openvino
def test_compile_for__processes_of_other_threads_leave_each_others_conversion(tmp_path, timed, monkeypatch):
    timed(gain=2.0)
    network = Net()
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        compiled(network, cache=tmp_path)
    monkeypatch.setattr("openvino.convert_model", lambda *_, **__: pytest.fail("converted again"))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert compiled(network, cache=tmp_path) is not network


@needs_openvino
def test_compile_for__a_folder_that_cannot_be_written_to(tmp_path, caplog):
    network = Net()
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.INFO):
        assert compiled(network, cache=tmp_path / "file") is not network
    assert "the conversion is not kept" in caplog.text


@needs_openvino
def test_converted__nothing_is_reported_to_its_makers():
    import sys

    import models.converted  # noqa: F401 - imports openvino

    assert sys.modules["openvino_telemetry"] is None


def test_compile_for__without_openvino(monkeypatch, caplog):
    monkeypatch.setattr(runtime, "find_spec", lambda _: None)
    network = Net()
    with caplog.at_level(logging.INFO):
        assert compiled(network) is network
    assert "OpenVINO, faster on many CPUs, is not installed" in caplog.text


@pytest.mark.parametrize("options", [{"engine": "torch"}, {"engine": "auto"}, {"device": torch.device("cuda", 0)}])
def test_compile_for__stays_in_torch(options, monkeypatch):
    """When told to, when small, and on a GPU."""
    monkeypatch.setattr(runtime, "find_spec", lambda _: pytest.fail("looked for OpenVINO"))
    network = Net()
    assert compiled(network, **options) is network


@needs_openvino
def test_compile_for__large_networks_are_converted_unasked(monkeypatch, timed):
    monkeypatch.setattr(runtime, "LEAST_PARAMETERS", 100)
    timed(gain=2.0)
    network = Net()
    assert compiled(network, engine="auto") is not network
