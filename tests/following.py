"""Follows the commands of the documents: each is run for real, or checked as far as can be without doing the work.

There is one way for each program, and a command for which there is none fails:

- `python -m`: run in this process, in a working folder with a small shop (`RUN`), or parsed by the program's own parser
  where the work would be long (`PARSED`), so that an option that was renamed fails;
- `make`: `make -n` succeeds, and CI runs the target, or its recipe is followed like any other command;
- `dagster`, `ray`, `torchrun`: parsed by their own parsers;
- what this machine may lack (Docker, Kubernetes, pip): the files, services, secrets and extras that it names are there.
"""

import argparse
import contextlib
import importlib
import io
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.environments import OTHERS, Settings, variable
from tests.documents import ROOT, Command

# Longest beginning wins.
RUN = (
    "crawlers exclude",
    "curation",
    "models promote",
    "models push",
    "models rollback",
    "models versions",
    "pipelines doctor",
    "pipelines settings",
    "pipelines takedown",
    "search delete",
    "search query",
    "search rollback",
    "search versions",
)
PARSED = ("benchmarks", "crawlers", "models", "models.on_ray", "pipelines", "sandbox", "search serve")
FILLED = {"DATA": "data", "<site>": "kream", "HEAD": "127.0.0.1", "$(openssl rand -hex 16)": "x"}
# Others than the settings, each read by the program that it stands before.
VARIABLES = {
    *OTHERS,
    *map(variable, Settings.model_fields),
    *("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED", "PYTHONPATH"),
}
WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text()


class ParsedError(Exception):
    """The arguments are right; the work was not begun."""


class UsageError(Exception):
    """The program refused its arguments."""


def follow(command: Command) -> None:
    """Run a command of a document, or check it as far as can be; what its comment names beside it, too."""
    import click

    assert not (unknown := set(command.variables) - VARIABLES), f"no such variable: {unknown}"
    words = [_filled(word) for word in command.words if not (command.quoted and word == "…")]
    try:
        _follow(words, names_only=command.quoted)
    except (UsageError, click.MissingParameter) as error:
        # In running text a program may be named without its arguments.
        if not command.quoted or not re.search("required|Missing", str(error)):
            raise
    for name in command.also:
        _there_is(words[2:], name)


def service(data: Path) -> Any:
    from search.index import Index
    from search.query import SearchService
    from tests.search.builders import BlockEncoder, FixedDetector

    return SearchService(FixedDetector(), BlockEncoder(), Index.open(data / "index"))


def _filled(word: str) -> str:
    for name, value in FILLED.items():
        word = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", value, word)
    return word


def _follow(words: list[str], *, names_only: bool = False, run: bool = True) -> None:
    """Run a command, or check it as far as can be."""
    program, arguments = words[0], words[1:]
    if program == "python":
        _python(arguments, run=run and not (names_only and len(arguments) <= 3))
    elif program in WAYS:
        WAYS[program](arguments)
    else:
        pytest.fail(f"{' '.join(words)}: there is no way to follow it; see the top of {Path(__file__).name}")


def _python(words: list[str], *, run: bool) -> None:
    if words[0] == "-c":
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(words[1], {})  # noqa: S102 - what the document tells a reader to run
        assert printed.getvalue()
        return
    assert words[0] == "-m", words
    called = " ".join(words[1:])
    known = [way for way in (*RUN, *PARSED) if re.match(rf"{re.escape(way)}(?![\w-])", called)]
    assert known, f"python {' '.join(words)}: neither in RUN nor in PARSED"
    really = run and max(known, key=len) in RUN and "--help" not in words
    status = _call(words[1], words[2:]) if really else _parse(words[1], words[2:])
    assert status in ({0, 1} if called.startswith("pipelines doctor") else {0, None}), called


def _module(name: str) -> str:
    return f"{name}.__main__" if (ROOT / name.replace(".", "/")).is_dir() else name


def _call(name: str, arguments: list[str]) -> Any:
    with _refusals():
        return importlib.import_module(_module(name)).main(arguments)


def _parse(name: str, arguments: list[str]) -> int:
    """The program's own parser takes the arguments; then it is stopped."""
    module = importlib.import_module(_module(name))
    with _refusals(), _parsing_only(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *arguments])
        try:
            module.main() if name.startswith("benchmarks.") else module.main(arguments)
        except ParsedError as parsed:
            if "training" in (options := parsed.args[0]):  # one command starts another
                _parse("models", options["training"])
        except SystemExit as asked_for_help:
            assert asked_for_help.code == 0  # noqa: PT017
    return 0


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    def refuse(parser: argparse.ArgumentParser, message: str) -> None:
        raise UsageError(f"{parser.prog}: {message}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "error", refuse)
        yield


@contextlib.contextmanager
def _parsing_only() -> Iterator[None]:
    parse = argparse.ArgumentParser.parse_args

    def stop(*arguments: Any, **named: Any) -> None:
        raise ParsedError(vars(parse(*arguments, **named)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        yield


def _there_is(words: list[str], name: str) -> None:
    """`python -m ROOM …` has a subcommand, or the command an option, of that name."""
    if name.startswith("--"):
        return _parse(words[0], [*words[1:], name, "x"]) and None
    for place in range(1, len(words)):
        with contextlib.suppress(UsageError):
            _parse(words[0], [*words[1:place], name, "--help"])
            return None
    return pytest.fail(f"{' '.join(words)}: no {name} beside it")


def _make(words: list[str]) -> None:
    """CI runs the target, or what it runs is followed like any other command."""
    shown = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    assert shown.returncode == 0, shown.stderr
    if f"run: make {words[0]}" not in WORKFLOW:
        for line in shown.stdout.splitlines():
            if line.startswith(".venv/bin/"):
                _follow(Command(line.removeprefix(".venv/bin/")).words, run=False)


def _click(cli: Any, words: list[str]) -> None:
    """Parsed by click; what would be done is not begun."""
    import click

    invoke = click.Command.invoke

    def stop(self: Any, context: Any) -> Any:
        if isinstance(self, click.Group):
            return invoke(self, context)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(click.Command, "invoke", stop)
        with pytest.raises(ParsedError):
            cli.main(words, standalone_mode=False)


def _dagster(words: list[str]) -> None:
    from dagster._cli import create_dagster_cli

    _click(create_dagster_cli(), words)


def _ray(words: list[str]) -> None:
    from ray.scripts.scripts import cli

    _click(cli, words)


def _dg(words: list[str]) -> None:
    """`dg` is not installed with the rest: the assets that it is told to make are there."""
    from pipelines.definitions import build

    assets = {spec.key.to_user_string() for spec in build(Settings()).resolve_all_asset_specs()}
    assert words[0] == "launch"
    assert set(words[words.index("--assets") + 1].split(",")) <= assets


def _torchrun(words: list[str]) -> None:
    from torch.distributed.run import get_args_parser

    with _refusals():
        options = get_args_parser().parse_args(words)
    assert options.module
    _python(["-m", options.training_script, *options.training_script_args], run=False)


def _curl(words: list[str]) -> None:
    """Sent to the service, as curl would."""
    from fastapi.testclient import TestClient

    from search.app import create_app

    *options, url = words
    assert set(options[::2]) == {"-F"}
    fields = dict(field.split("=", 1) for field in options[1::2])
    files = {name: Path(value[1:]).read_bytes() for name, value in fields.items() if value.startswith("@")}
    app = create_app(service(Path("data")), Path("examples"))
    answer = TestClient(app, base_url="http://127.0.0.1:8700").post(
        url, files=files, data={name: value for name, value in fields.items() if name not in files}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["garments"]


def _docker(words: list[str]) -> None:
    assert words[:2] == ["compose", "-f"], words
    services = yaml.safe_load((ROOT / words[2]).read_text())["services"]
    if words[3] == "exec":
        assert words[4] in services
        _follow(words[5:], run=False)
    elif words[3] == "cp":
        assert words[5].partition(":")[0] in services
    else:
        assert words[3] == "up"


def _kubectl(words: list[str]) -> None:
    manifests = "".join(path.read_text() for path in (ROOT / "deploy/kubernetes").glob("*.yaml"))
    names = [word.partition("=")[2].partition("=")[0] for word in words if word.startswith("--from-literal")]
    names += words[2:] if words[:2] == ["create", "namespace"] else []
    assert all(name in manifests for name in names)
    if words[0] == "apply":
        assert (ROOT / words[words.index("-k") + 1] / "kustomization.yaml").is_file()
    else:
        assert {"create", "port-forward", "rollout"} & set(words)


def _pip(words: list[str]) -> None:
    """The extras that are named are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert words[0] == "install"
    for word in words[1:]:
        if named := re.fullmatch(r"([\w.-]+)\[(.+)\]", word):
            assert named[1] in {".", project["name"]}
            assert set(named[2].split(",")) <= set(project["optional-dependencies"])


def _sh(words: list[str]) -> None:
    """A script that CI runs."""
    subprocess.run(["sh", "-n", str(ROOT / words[0])], check=True)  # noqa: S607
    assert f"run: sh {words[0]}" in WORKFLOW


def _nothing(_words: list[str]) -> None:
    """A program of the system that says nothing of ours."""


WAYS: dict[str, Callable[[list[str]], None]] = {
    "curl": _curl,
    "dagster": _dagster,
    "dg": _dg,
    "docker": _docker,
    "export": _nothing,  # its variables are checked
    "htpasswd": _nothing,
    "kubectl": _kubectl,
    "make": _make,
    "pip": _pip,
    "ray": _ray,
    "sh": _sh,
    "torchrun": _torchrun,
}
