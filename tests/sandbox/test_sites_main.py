"""The sandbox's command line."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from sandbox.__main__ import main
from tests.sandbox.test_photos import IMAGES, PAIRS
from tests.sandbox.tiny import picture


def serve(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", "serve", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve__prints_addresses_when_ready_and_ends_on_signal(number: int) -> None:
    with serve("--seed", "3", "--posts", "20") as child:
        assert child.stdout is not None
        urls = json.loads(child.stdout.readline())
        about = httpx.get(f"{urls['kream']}/__sandbox").json()
        assert (about["site"], about["seed"], about["photos"]) == ("kream", 3, None)
        assert httpx.get(f"{urls['onthelook']}/__sandbox").json()["site"] == "onthelook"
        os.kill(child.pid, number)
        assert child.wait(10) in (0, -number, 128 + number, 1)


def test_serve__photo_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images.csv").write_text(IMAGES)
    (tmp_path / "pairs.csv").write_text(PAIRS)
    for name in ("a1", "a2", "a1_back", "ball"):
        (tmp_path / "images" / f"{name}.jpg").write_bytes(picture(len(name)))
    with serve("--photos", str(tmp_path)) as child:
        assert child.stdout is not None
        urls = json.loads(child.stdout.readline())
        assert httpx.get(f"{urls['kream']}/__sandbox").json()["photos"] == str(tmp_path)
        assert 'class="product_item"' in httpx.get(f"{urls['kream']}/social/posts/1").text
        child.kill()


def test_truth__writes_one_file_per_table(tmp_path: Path) -> None:
    assert main(["truth", "--seed", "3", "--posts", "20", "--out", str(tmp_path)]) == 0
    names = {path.stem for path in tmp_path.glob("*.parquet")}
    assert {"boxes", "tags", "products", "duplicates", "posts", "broken"} <= names
    assert pq.read_table(tmp_path / "posts.parquet").num_rows == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--port", "70000"], "--port: '70000' is not a whole number from 0 to 65534"),
        (["serve", "--posts", "0"], "--posts: '0'"),
        (["serve", "--delay", "fast"], "--delay: 'fast'"),
        (["serve", "--fault", "flood=0.1"], "--fault: 'flood' is not one of"),
        (["serve", "--until", "soon"], "--until: 'soon' is not a date or time"),
        (["serve", "--fault", "429=2"], "--fault: rate '2' of 429"),
        (["annotations", "--images", "-5", "--out", "x"], "--images"),
    ],
)
def test_main__refuses_wrong_values_by_name(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_main__missing_photo_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--photos", str(tmp_path / "none")]) == 1
    assert "images.csv is missing" in capsys.readouterr().err


def test_serve__port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "sandbox", "serve", "--posts", "1", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == f"sandbox: port {port} or {port + 1} is in use; give another --port\n"
