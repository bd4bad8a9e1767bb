"""The commands on trained models: list, promote, roll back."""

import json
from typing import Any

import pytest

from models.__main__ import main
from models.promotion import ModelVersions, Verdict
from tests.models.test_checkpoint import save


@pytest.fixture
def data(tmp_path):
    """A data folder in which the gate passed one encoder and refused the next."""
    versions = ModelVersions(tmp_path / "models" / "encoder")
    for weights, verdict in ((b"one", Verdict(True, "good")), (b"two", Verdict(False, "worse"))):
        save(tmp_path / "candidate", weights, kind="encoder")
        versions.decide(versions.add(tmp_path / "candidate"), verdict)
    return tmp_path


def run(capsys, data, *arguments) -> list[dict[str, Any]]:
    assert main([*arguments, "--data", str(data)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_versions__with_every_decision(data, capsys):
    head, *decisions = run(capsys, data, "versions")
    assert head == {"in_use": "0001", "versions": ["0001", "0002"]}
    assert [(row["version"], row["decision"], row["reason"]) for row in decisions] == [
        ("0001", "promoted", "good"),
        ("0002", "refused", "worse"),
    ]


def test_promote_and_rollback(data, capsys):
    (answer,) = run(capsys, data, "promote", "0002", "--reason", "a customer wants it")
    assert answer["in_use"] == "0002"
    assert "search_index" in answer["next"]
    (answer,) = run(capsys, data, "rollback", "--reason", "no longer")
    assert answer["in_use"] == "0001"
    last = run(capsys, data, "versions")[-1]
    assert (last["decision"], last["by"], last["reason"]) == ("rolled back", "person", "no longer")


def test_promote__version_in_use_leaves_nothing_to_do(data, capsys):
    (answer,) = run(capsys, data, "promote", "0001", "--reason", "to be sure")
    assert answer == {"in_use": "0001", "next": "nothing: it was in use already"}


def test_versions__data_folder_of_the_environment(data, capsys, monkeypatch):
    monkeypatch.setenv("FASHION_DATA", str(data))
    assert main(["versions"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["in_use"] == "0001"


def test_lookbench__takes_the_encoder_in_use(data, capsys, monkeypatch):
    monkeypatch.setenv("FASHION_DATA", str(data / "other"))
    assert main(["lookbench", "--data", str(data)]) == 2
    assert str(data / "other" / "models" / "encoder") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["promote", "0009", "--reason", "x"], "must be one of 0001, 0002, got '0009'"),
        (["rollback", "--reason", "x"], "no earlier version to return to"),
        (["push", "detector", "me/model"], "no checkpoint directory"),
    ],
)
def test_main__what_will_not_do(data, capsys, arguments, message):
    assert main([*arguments, "--data", str(data)]) == 2
    assert message in capsys.readouterr().err
