"""The table of settings is made from the fields, and hides what is secret."""

from pathlib import Path

import pytest

from pipelines.__main__ import main
from pipelines.environments import OTHERS, Settings, masked, read_settings, variable
from pipelines.settings_table import markdown, rule, shown

PAGE = Path(__file__).parents[2] / "docs" / "SETTINGS.md"


def test_markdown__is_what_the_docs_hold() -> None:
    """After a changed setting: python -m pipelines settings --markdown > docs/SETTINGS.md"""
    assert PAGE.read_text() == markdown()


def test_markdown__names_every_setting_with_what_it_is() -> None:
    rows = [line.split(" | ") for line in markdown().splitlines() if line.startswith("| `")]
    assert [row[0].strip("|` ") for row in rows] == [*map(variable, Settings.model_fields), *OTHERS]
    assert all(len(row[-1].strip("| ")) > 10 for row in rows)


def test_rule__tells_kind_and_range() -> None:
    fields = Settings.model_fields
    assert rule(fields["posts"]) == "whole number 40 to 10,000,000"
    assert rule(fields["effort"]) == "number above 0, to 100"
    assert rule(fields["profile"]) == "`sandbox` or `full`"
    assert rule(fields["photos"]) == "folder"
    assert rule(fields["commercial_only"]) == "`true` or `false`"


def test_shown__marks_what_is_set() -> None:
    environment = {"FASHION_SEED": "7"}
    rows = {row["variable"]: row for row in shown(read_settings(environment), environment)}
    assert rows["FASHION_SEED"]["value"] == "7"
    assert {name for name, row in rows.items() if row["from"] == "set"} == {"FASHION_SEED"}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("milvus", "http://user:password@host:19530", "http://***@host:19530"),
        ("milvus", "milvus.db", "milvus.db"),
        ("alert_webhook", "https://chat/T0/secret", "***"),
        ("webhook", "", ""),
        ("storage_key", "abc", "***"),
        ("seed", 7, "7"),
    ],
)
def test_masked__shows_no_secret(field: str, value: object, expected: str) -> None:
    assert masked(field, value) == expected


def test_settings_command__prints_values_and_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASHION_MILVUS", "http://user:hush@127.0.0.1:1")
    assert main(["settings"]) == 0
    printed = capsys.readouterr().out
    assert "http://***@127.0.0.1:1" in printed
    assert "hush" not in printed


def test_settings_command__refuses_a_wrong_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASHION_SEDE", "4")
    assert main(["settings"]) == 2
    assert "FASHION_SEDE: there is no such setting; did you mean FASHION_SEED?" in capsys.readouterr().err
