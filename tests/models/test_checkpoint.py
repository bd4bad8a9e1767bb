"""Checkpoint directories: written whole, verified when read."""

import json
import multiprocessing
from types import MappingProxyType

import pytest

from models.checkpoint import MANIFEST, open_checkpoint, save_checkpoint, sole_writer
from models.errors import CheckpointError

FILES = {
    "model.safetensors": b"weights",
    "config.json": b'{"id2label": {"1": "b", "0": "a"}}',
    "preprocessor_config.json": b'{"size": 8}',
}


def save(out, weights=b"weights", kind="detector", metrics=MappingProxyType({"map": 0.5})):
    def write(folder):
        for name, data in {**FILES, "model.safetensors": weights}.items():
            (folder / name).write_bytes(data)

    return save_checkpoint(
        out, kind, write, config={"steps": 3}, data_fingerprint="data", labels=["a"], metrics=dict(metrics)
    )


def test_save_checkpoint__round_trip(tmp_path):
    saved = save(tmp_path / "model")
    path, read = open_checkpoint(tmp_path / "model", "detector")
    assert (path, read) == (tmp_path / "model", saved)
    assert read.preprocessing == {"size": 8}
    assert (read.data_fingerprint, read.metrics, read.labels) == ("data", {"map": 0.5}, ["a"])


def test_save_checkpoint__replaces_and_leaves_no_litter(tmp_path):
    first, second = save(tmp_path / "model"), save(tmp_path / "model", b"better")
    assert first.version != second.version
    assert open_checkpoint(tmp_path / "model", "detector")[1].version == second.version
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_save_checkpoint__what_killed_saves_left_is_cleared_up(tmp_path):
    for name in (".model.0f.tmp", ".model.0e.old", ".model_other.0d.tmp", ".model.lock"):
        (tmp_path / name).mkdir()
    save(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.lock", ".model_other.0d.tmp", "model"]


def test_save_checkpoint__same_files_same_version(tmp_path):
    assert save(tmp_path / "a").version == save(tmp_path / "b").version


def test_save_checkpoint__keeps_the_progress_of_its_run(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "progress.jsonl").write_text("{}\n")
    save(tmp_path / "model")
    assert (tmp_path / "model" / "progress.jsonl").read_text() == "{}\n"


def test_save_checkpoint__failed_write_keeps_the_old_one(tmp_path):
    old = save(tmp_path / "model")

    def write(folder):
        (folder / "config.json").write_text("{}")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path / "model", "detector", write, config={}, data_fingerprint="", labels=[], metrics={})
    assert open_checkpoint(tmp_path / "model", "detector")[1] == old
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_open_checkpoint__wrong_kind(tmp_path):
    save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="is of kind detector, not of kind encoder"):
        open_checkpoint(tmp_path / "model", "encoder")


@pytest.mark.parametrize("name", list(FILES))
def test_open_checkpoint__missing_file(tmp_path, name):
    save(tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
        open_checkpoint(tmp_path / "model", "detector")


@pytest.mark.parametrize("name", list(FILES))
def test_open_checkpoint__changed_file(tmp_path, name):
    save(tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="its files give another"):
        open_checkpoint(tmp_path / "model", "detector")


def test_open_checkpoint__damaged_manifest(tmp_path):
    save(tmp_path / "model")
    (tmp_path / "model" / MANIFEST).write_text(json.dumps({"kind": "detector"}))
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        open_checkpoint(tmp_path / "model", "detector")


def test_open_checkpoint__published_one_without_manifest(tmp_path):
    version = save(tmp_path / "model").version
    (tmp_path / "model" / MANIFEST).unlink()
    _, manifest = open_checkpoint(tmp_path / "model", "detector")
    assert (manifest.version, manifest.labels, manifest.data_fingerprint) == (version, ["a", "b"], "")


@pytest.mark.parametrize("source", ["/no/such/place", "./none", "word", "a/b/c"])
def test_open_checkpoint__no_directory(source):
    with pytest.raises(CheckpointError, match="no checkpoint directory"):
        open_checkpoint(source, "detector")


def hold(out, ready):
    with sole_writer(out):
        ready.set()
        multiprocessing.Event().wait()


def test_sole_writer__another_process_waits_its_turn_and_a_killed_one_lets_go(tmp_path):
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    other = fork.Process(target=hold, args=(tmp_path / "model", ready))
    other.start()
    assert ready.wait(30)
    with pytest.raises(CheckpointError, match="another process is training"), sole_writer(tmp_path / "model"):
        pass
    with sole_writer(tmp_path / "elsewhere"):
        pass
    other.kill()
    other.join()
    with sole_writer(tmp_path / "model"):
        save(tmp_path / "model")
    assert open_checkpoint(tmp_path / "model", "detector")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
