"""The command line."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from PIL import Image

from search.__main__ import main
from search.answers import AnswerOut
from search.index import Index, build_index
from search.query import SearchService
from tests.ports import two_ports
from tests.search.builders import photo_of, product_rows, write_embeddings


@pytest.fixture
def loaded(service: SearchService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.__main__._open", lambda _data, _milvus: service)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo_of(3, 7, 11))
    return path


def free_port() -> str:
    return str(two_ports())


def test_query__json(loaded: None, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", str(photo), "--top", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [garment["hits"][0]["id"] for garment in answer["garments"]] == ["kream-3", "kream-27", "kream-51"]
    assert answer["garments"][0]["hits"][0]["thumbnail"].startswith("/api/products/kream-3/thumbnail?v=")
    assert AnswerOut.model_validate(answer).model_dump(mode="json") == answer  # as the service answers
    assert {len(garment["hits"]) for garment in answer["garments"]} == {2}


def test_query__text_category_and_picture(
    loaded: None, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "answer.jpg"
    assert main(["query", str(photo), "--category", "shoes", "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "shoes 0.70 at 190,290,290,390" in out
    assert "Top No." not in out
    assert "KRW  https://kream.co.kr/products/" in out
    with Image.open(picture) as image:
        assert image.format == "JPEG"


def test_query__bad_photo_and_missing_file(loaded: None, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo.write_bytes(b"<html>")
    assert main(["query", str(photo)]) == 2
    assert "search: photo: not_an_image" in capsys.readouterr().err
    assert main(["query", str(photo.with_name("nowhere.jpg"))]) == 2
    assert f"search: photo: No such file or directory: {photo.with_name('nowhere.jpg')}\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["broken.jpg"], "photo: not_an_image: "),
        (["photo.jpg", "--top", "0"], "top: must be at least 1, got 0"),
        (["photo.jpg", "--picture", "nowhere/answer.jpg"], "picture: must be a file in a folder that is there"),
        (["photo.jpg", "--picture", "."], "picture: must be a file in a folder that is there"),
    ],
)
def test_query__refused_before_models_are_loaded(
    arguments: list[str],
    message: str,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("search.__main__._open", lambda *_: pytest.fail("models were loaded"))
    monkeypatch.chdir(photo.parent)
    Path("broken.jpg").write_bytes(b"<html>")
    assert main(["query", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"search: {message}")


@pytest.mark.parametrize("command", [["query", "PHOTO"], ["serve"]])
def test_main__no_index(command: list[str], photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(photo) if part == "PHOTO" else part for part in command]
    assert main([*arguments, "--data", str(tmp_path)]) == 2
    assert f"search: {tmp_path / 'index'} holds no index; run `make demo`" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["serve"], ["versions"], ["rollback"], ["delete", "kream-1"]])
def test_main__no_data_folder(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASHION_DATA", str(tmp_path / "nowhere"))
    assert main([*command, *(["--port", free_port()] if command == ["serve"] else [])]) == 2
    assert capsys.readouterr().err == (
        f"search: no data folder at {tmp_path / 'nowhere'}; give --data or set FASHION_DATA\n"
    )


def test_serve__port_in_use(loaded: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--data", str(tmp_path), "--port", str(port)]) == 2
    assert capsys.readouterr().err == f"search: port {port} is in use; give another --port\n"


def test_serve__port_of_a_service_that_has_just_ended(
    loaded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.server.serve", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as ended:
        port = ended.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            ended.accept()[0].close()  # first, so that its side lingers
            assert client.recv(1) == b""
    assert main(["serve", "--data", str(tmp_path), "--port", str(port)]) == 0


def test_serve__hands_on_what_it_was_told(
    loaded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr("search.app.create_app", lambda _, examples, **more: told.update(more, examples=examples))
    monkeypatch.setattr("search.server.serve", lambda _, __, *where: told.update(where=where))
    arguments = ["--port", (port := free_port()), "--root-path", "/find/", "--drain", "7"]
    assert main(["serve", "--data", str(tmp_path), *arguments]) == 0
    assert (told["examples"], told["root_path"]) == (tmp_path / "examples", "/find")
    assert told["where"] == ("127.0.0.1", int(port), 7.0)
    assert capsys.readouterr().out.endswith("/find/\n")


@pytest.mark.parametrize("port", ["-1", "0", "65536", "99999"])
def test_serve__no_port(
    loaded: None, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("search.server.serve", lambda *_: None)
    assert main(["serve", "--data", str(tmp_path), "--port", port]) == 2
    assert capsys.readouterr().err == f"search: port: must be from 1 to 65535, got {port}\n"


@pytest.mark.parametrize("origin", ["*", "shop.example", "https://shop.example/", "https://Shop.example"])
def test_serve__origin_that_no_browser_sends(
    loaded: None, origin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--data", str(tmp_path), "--port", free_port(), "--origin", origin]) == 2
    assert capsys.readouterr().err.startswith("search: origin: must be as https://shop.example, without a path, got")


def test_main__unknown_category(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["query", "x.jpg", "--category", "sock"])
    assert "sock" in capsys.readouterr().err


def test_import__brings_neither_torch_nor_scrapy() -> None:
    code = (
        "import sys, search.__main__, search.app, search.report; print({'torch', 'scrapy', 'dagster'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_versions__rollback_and_delete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> str:
        assert main([*arguments, "--data", str(tmp_path)]) == 0
        return capsys.readouterr().out

    assert run("versions") == ""
    first = build_index(write_embeddings(tmp_path / "rows", product_rows(3)), tmp_path / "index", "blocks-1").version
    assert main(["delete", "kream-nobody", "kream-nobody", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr() == ("", "search: not in the index: kream-nobody\n")
    assert main(["delete", "kream-1", "kream-nobody", "--data", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out.endswith(": 8 products\n")
    assert err == "search: not in the index: kream-nobody\n"
    older, newer = run("versions").splitlines()
    assert older.startswith(f"  {first}  ")
    assert newer.startswith("* ")
    assert "merge           8 products  recall 1.000  encoder blocks-1" in newer
    assert run("rollback") == f"{first}\n"
    assert run("versions").startswith(f"* {first}")
    assert [json.loads(line)["rows"] for line in run("versions", "--json").splitlines()] == [9, 8]


def test_serve__milvus_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "x.jpg", "--data", str(tmp_path), "--milvus", str(tmp_path / "milvus.db")]) == 2
    assert "No such file" in capsys.readouterr().err
    (tmp_path / "x.jpg").write_bytes(photo_of(1, 2, 3))
    assert main(["query", str(tmp_path / "x.jpg"), "--milvus", str(tmp_path / "milvus.db")]) == 2
    assert "Milvus holds no index" in capsys.readouterr().err


def test_serve__has_searched_before_it_is_ready(loaded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container that was just started, the first search compiles the scan of the lists."""
    asked: list[object] = []

    def serve(*_: object) -> None:
        asked.append("serving")

    monkeypatch.setattr("search.server.serve", serve)
    with patch.object(Index, "search_many", lambda _, __, categories, *___: asked.append(categories) or [[]]):
        assert main(["serve", "--data", str(tmp_path), "--port", free_port()]) == 0
    assert asked == [[None], "serving"]


def test_serve__weak_review_token(loaded: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--data", str(tmp_path), "--port", free_port(), "--review-token", "abc"]) == 2
    assert "search: review token: at least 16 characters, got 3" in capsys.readouterr().err
