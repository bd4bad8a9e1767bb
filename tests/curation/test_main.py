"""The command line: lists, switches and expires versions, and says in one line what is wrong."""

import json
import socket
from pathlib import Path

import pytest

from curation.__main__ import main
from tests.curation.data_folder import make_data


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


def test_versions__list_use_keep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(make_data(tmp_path, range(1, 12)))
    make_data(tmp_path, range(1, 13))
    listed = _run(capsys, "versions", "--data", data)
    assert listed["in_use"] == "0002"
    assert [version["difference"]["added"] for version in listed["versions"]] == [9, 1]
    assert _run(capsys, "versions", "--data", data, "--use", "0001")["in_use"] == "0001"
    assert _run(capsys, "versions", "--data", data, "--use", "0002", "--keep", "1")["removed"] == ["0001"]


def test_publish__nothing_new_keeps_the_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(make_data(tmp_path, range(1, 12)))
    assert _run(capsys, "publish", "--data", data)["version"] == "0001"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["versions", "--use", "0009"], "version: must be one of none yet"),
        (["versions", "--keep", "0"], "keep: must be at least 1, got 0"),
        (["publish"], "there is no version yet"),
        (["push", "me/pairs"], "there is no version yet; materialize pair_dataset first"),
        (["doubts"], "there is no version yet"),
        (["review-export", "tasks"], "there is no version yet"),
        (["audit", "nowhere"], "there is no dataset to audit"),
    ],
)
def test_main__one_line_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--data", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("hub")  # of which the client is not offline
def test_push__says_that_the_hub_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(make_data(tmp_path, range(1, 12)))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["push", "me/pairs", "--endpoint", url, "--data", data]) == 2
    assert f"curation: {url} does not answer" in capsys.readouterr().err


@pytest.mark.usefixtures("hub")
def test_push__bad_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(make_data(tmp_path, range(1, 12)))
    assert main(["push", "bad name", "--data", data]) == 2
    told = capsys.readouterr().err
    assert told.startswith("curation: repo: ")
    assert "'bad name'" in told
