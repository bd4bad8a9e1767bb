"""Checkpoints go to the hub and come back, against a stand-in of its API on this machine."""

import json
import socket

import pytest
from huggingface_hub import HfApi

from models.__main__ import main
from models.card import add_result
from models.checkpoint import open_checkpoint
from models.errors import CheckpointError
from models.hub import push_to_hub
from tests.models.test_card import RESULT
from tests.models.test_checkpoint import save

# The hub's own client passes its uploads to httpx in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload")

FILES = {"README.md", "card.json", "config.json", "manifest.json", "model.safetensors", "preprocessor_config.json"}


@pytest.mark.parametrize("kind", ["detector", "classifier", "encoder"])
def test_push_to_hub__comes_back_by_its_name(tmp_path, hub, kind):
    saved = save(tmp_path / "model", kind=kind)
    (tmp_path / "model" / "progress.jsonl").write_text("{}\n")  # of interest here only
    pushed = push_to_hub(tmp_path / "model", kind, "me/model", HfApi(endpoint=hub.url, token="hf_test"))
    assert set(pushed.uploaded) == set(hub.files) == FILES
    path, manifest = open_checkpoint("me/model", kind)
    assert manifest == saved
    assert (path / "model.safetensors").read_bytes() == b"weights"


def test_push_to_hub__sends_what_changed(tmp_path, hub):
    save(tmp_path / "model")
    api = HfApi(endpoint=hub.url, token="hf_test")
    push_to_hub(tmp_path / "model", "detector", "me/model", api)
    assert push_to_hub(tmp_path / "model", "detector", "me/model", api).uploaded == []
    add_result(tmp_path / "model", RESULT)
    assert push_to_hub(tmp_path / "model", "detector", "me/model", api).uploaded == ["card.json", "README.md"]
    assert len(hub.commits) == 2


def test_push_to_hub__damaged_checkpoint_is_not_sent(tmp_path, hub):
    save(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="its files give another"):
        push_to_hub(tmp_path / "model", "detector", "me/model", HfApi(endpoint=hub.url, token="hf_test"))
    assert hub.commits == []


def test_main__push(tmp_path, hub, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    save(tmp_path / "models" / "detector")
    assert main(["push", "detector", "me/model", "--endpoint", hub.url, "--data", str(tmp_path)]) == 0
    assert set(json.loads(capsys.readouterr().out)["uploaded"]) == FILES


@pytest.mark.usefixtures("hub")  # of which the client is not offline
def test_main__push_says_that_the_hub_does_not_answer(tmp_path, capsys):
    save(tmp_path / "models" / "detector")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["push", "detector", "me/model", "--endpoint", url, "--data", str(tmp_path)]) == 2
    assert f"models: {url} does not answer" in capsys.readouterr().err


@pytest.mark.usefixtures("hub")
def test_main__push_to_a_bad_name(tmp_path, capsys):
    save(tmp_path / "models" / "detector")
    assert main(["push", "detector", "bad name", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("models: repo: ")
