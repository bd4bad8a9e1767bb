"""The command line of the trainers."""

import json
import subprocess
import sys

import pytest

from models.__main__ import main
from models.checkpoint import open_checkpoint
from models.presets import preset
from models.progress import read_progress
from models.run import _sources
from tests.models.conftest import TINY


def test_main__trains_and_leaves_its_progress(catalog, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(preset("classifier", "tiny", **{**TINY, "steps": 2, "height": 16, "width": 16})))
    out = tmp_path / "classifier"
    assert main(["classifier", "--config", str(config), "--data", str(catalog), "--out", str(out)]) == 0
    assert open_checkpoint(out, "classifier")[1].config["steps"] == 2
    events = [row["event"] for row in read_progress(out / "progress.jsonl")]
    assert events == ["start", "step", "evaluation", "done"]


@pytest.mark.parametrize("text", ["", '{"steps": 0}', "[]"])
def test_main__wrong_configuration(catalog, tmp_path, capsys, text):
    config = tmp_path / "config.json"
    config.write_text(text)
    out = tmp_path / "out"
    assert main(["classifier", "--config", str(config), "--data", str(catalog), "--out", str(out)]) == 2
    assert capsys.readouterr().err.startswith("models: ")
    assert not out.exists()


def test_main__configuration_that_is_no_json_is_named(catalog, tmp_path, capsys):
    config = tmp_path / "config.json"
    config.write_text("steps: 3")
    assert main(["classifier", "--config", str(config), "--data", str(catalog), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"models: {config}: Expecting value")


def test_main__help_names_the_other_commands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "versions | promote | rollback | push | lookbench" in " ".join(capsys.readouterr().out.split())


def test_main__data_that_cannot_be_trained_on(tmp_path, capsys):
    assert main(["encoder", "--preset", "tiny", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no pair dataset" in capsys.readouterr().err


def test_models__import_is_light():
    light = "models, models.run, models.presets, models.detector.step, models.classifier.step, models.encoder.step"
    heavy = "{'torch', 'transformers', 'torchvision', 'datasets'}"
    code = f"import sys, {light}; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sources__of_everything_that_was_learned_from(tmp_path):
    for name in ("data", "boxes", "also", "thumbnails"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps({"sources": {name: {"licence": name}}}))
    values = {"boxes": "../boxes", "also": str(tmp_path / "also"), "thumbnails": str(tmp_path / "thumbnails")}
    assert _sources(tmp_path / "data", values).keys() == {"data", "boxes", "also", "thumbnails"}
    assert _sources(tmp_path / "data", {}).keys() == {"data"}
