"""Options are checked by name before any work starts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crawlers.__main__ import main
from crawlers.config import make_config
from crawlers.errors import REFUSED, ConfigError


def test_make_config__defaults_are_polite(tmp_path: Path) -> None:
    config = make_config(kind="kream", out=tmp_path)
    assert config.delay >= 1
    assert not config.allow_private
    assert config.blocks == "auto"
    assert (config.site, config.is_catalog, config.rendering) == ("kream", False, "fallback")
    assert make_config(kind="onthelook", out=tmp_path).rendering == "always"
    assert make_config(kind="kream", out=tmp_path, browser=tmp_path / "none").rendering == "never"
    assert make_config(kind="29cm-catalog", out=tmp_path).rendering == "never"


def test_make_config__base_url_with_a_slash_at_its_end(tmp_path: Path) -> None:
    config = make_config(kind="kream", out=tmp_path, base_url="http://127.0.0.1:8600/")
    assert config.base_url == "http://127.0.0.1:8600"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blocks", "3-1"),
        ("blocks", "x"),
        ("block_size", 0),
        ("max_posts", -1),
        ("delay", -0.1),
        ("delay", "fast"),
        ("base_url", "ftp://x"),
        ("base_url", "kream.co.kr"),
        ("base_url", "http://x/?a=1"),
        ("user_agent", ""),
        ("kind", "29cm"),
        ("colour", "red"),
    ],
)
def test_make_config__names_the_wrong_option(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name}: .*"):
        make_config(**{"kind": "kream", "out": tmp_path, name: value})


def test_make_config__missing_browser_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"browser: .*nowhere does not exist"):
        make_config(kind="onthelook", out=tmp_path, browser=tmp_path / "nowhere")


def test_main__refuses_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kream", "--out", str(tmp_path / "out"), "--blocks", "9-1"]) == 2
    assert "blocks: range 9-1 runs backwards" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["kream", "--out", str(tmp_path), "--blocks", "9-1"]) == 2
    assert json.loads((tmp_path / "stats-kream.json").read_text())["finish_reason"] == REFUSED


def test_main__folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    for out in (file, file / "below"):
        for command in (["kream"], ["exclude", "--site", "kream", "--post", "1", "--reason", "mail of 1 May"]):
            assert main([*command, "--out", str(out)]) == 2
            assert capsys.readouterr().err.startswith(f"crawlers: out: {str(file)!r} is a file; name a folder")


@pytest.mark.parametrize("options", [("--blocks", "5"), ("--max-posts", "3"), ("--retry-failed",)])
def test_main__catalog_has_no_options_of_posts(
    tmp_path: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["kream-catalog", "--out", str(tmp_path), *options])
    assert f"unrecognized arguments: {' '.join(options)}" in capsys.readouterr().err


def test_main__catalog_takes_the_pace_of_the_sandbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--block-size", "100", "--frontier-window", "30", "--delay", "no")
    assert main(["kream-catalog", "--out", str(tmp_path), *options]) == 2
    assert capsys.readouterr().err.startswith("crawlers: delay: ")


def test_main__help_says_what_each_option_takes(capsys: pytest.CaptureFixture[str]) -> None:
    helps = {}
    for command in ("kream", "kream-catalog", "fixture"):
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        helps[command] = " ".join(capsys.readouterr().out.split())
    assert not [text for text in helps.values() if "VALUE" in text or "None" in text]
    assert "--max-posts INTEGER" in helps["kream"]
    assert "--delay NUMBER" in helps["kream"]
    assert "block" not in helps["kream-catalog"]
    assert "--out PATH folder for the saved page" in helps["fixture"]


def test_make_config__says_a_value_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not 'x'$"):
        make_config(kind="kream", out=tmp_path, blocks="x")
    with pytest.raises(ConfigError, match=r"runs backwards \(got '3-1'\)$"):
        make_config(kind="kream", out=tmp_path, blocks="3-1")


def test_import__loads_neither_scrapy_nor_playwright() -> None:
    code = """
import sys
import crawlers, crawlers.config, crawlers.__main__, crawlers.pages.kream, crawlers.policy
print([name for name in ("scrapy", "playwright", "twisted", "dagster", "torch") if name in sys.modules])
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
