"""The doctor: every probe can fail, says what to do then, and breaks nothing when it breaks itself."""

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assets.world import claim
from pipelines.__main__ import main
from pipelines.doctor import PROBES, diagnose, folders, machine, services, text
from pipelines.doctor.finding import Finding, Patient
from pipelines.environments import Settings, read_settings

FULL = {"FASHION_PROFILE": "full"}


def patient(environment: dict[str, str] | None = None, **values: Any) -> Patient:
    settings = Settings.model_validate({**read_settings(environment or {}).model_dump(), **values})
    return Patient(settings, environment or {})


def levels(findings: list[Finding]) -> list[str]:
    return [found.level for found in findings]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens who is no sandbox."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_diagnose__a_probe_that_fails_itself_is_a_finding() -> None:
    def unlucky(_: Patient) -> list[Finding]:
        raise ZeroDivisionError("by zero")

    found = diagnose({}, [unlucky, machine.python])
    assert levels(found) == ["fail", "ok"]
    assert found[0].probe == "unlucky"
    assert "ZeroDivisionError: by zero" in found[0].told


def test_diagnose__wrong_settings_are_findings_of_their_own() -> None:
    found = diagnose({"FASHION_SEDE": "4", "FASHION_POSTS": "x"}, [machine.python])
    assert [item.told.partition(":")[0] for item in found[:-1]] == ["FASHION_POSTS", "FASHION_SEDE"]
    assert levels(found) == ["fail", "fail", "ok"]


def test_diagnose__here_every_probe_answers(tmp_path: Path) -> None:
    found = diagnose({"FASHION_DATA": str(tmp_path), "DAGSTER_HOME": str(tmp_path)})
    assert not [item for item in found if "could not be looked at" in item.told]
    assert len(PROBES) <= len(found) + 4  # thumbnails, photos, storage and daemon have nothing to say here
    assert all(item.remedy for item in found if item.level == "fail")


def test_text__counts_what_is_to_mend() -> None:
    lines = text([Finding("a", "fail", "broken", "mend it"), Finding("b", "ok", "fine")]).splitlines()
    assert lines[0].startswith("fail  a")
    assert lines[1].strip() == "→ mend it"
    assert lines[-1] == "1 to mend, 0 to know about"


def test_doctor_command__tells_by_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FASHION_DATA", str(tmp_path / "file" / "data"))
    (tmp_path / "file").write_text("")
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {"probe": "data", "level": "fail"}.items() <= next(row for row in found if row["probe"] == "data").items()


def test_python__too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    assert levels(machine.python(patient())) == ["fail"]


def test_packages__missing_and_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "scrapy":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0" if name == "numpy" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = machine.packages(patient())
    assert [item.told.partition(":")[0] for item in found] == ["core", "crawl"]
    assert "numpy 1.0 is not" in found[0].told
    assert "scrapy is not installed" in found[1].told
    assert "[crawl]" in found[1].remedy


def test_packages__milvus_only_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ['pymilvus>=99; extra == "milvus"'])
    monkeypatch.setattr(importlib.metadata, "version", lambda name: asked.append(name) or "1")
    assert levels(machine.packages(patient())) == ["ok"]
    assert levels(machine.packages(patient(milvus="milvus.db"))) == ["fail"]
    assert asked == ["pymilvus"]


def test_browser__none_and_the_heavier_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    both = (tmp_path / "shell", tmp_path / "chromium")
    monkeypatch.setattr(machine, "BROWSERS", both)
    assert levels(machine.browser(patient())) == ["fail"]
    both[1].write_text("")
    assert levels(machine.browser(patient())) == ["warn"]
    both[0].write_text("")
    assert levels(machine.browser(patient())) == ["ok"]


def test_fonts__none_with_korean_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    assert levels(machine.fonts(patient())) == ["warn"]
    monkeypatch.setattr(machine.shutil, "which", lambda _: "/usr/bin/fc-list")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="\n"))
    assert levels(machine.fonts(patient())) == ["warn"]


def test_memory__the_container_has_less_than_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "_CGROUP", limit)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(total=64 * 1024**3))
    assert levels(machine.memory(patient())) == ["ok"]
    limit.write_text(f"{2 * 1024**3}\n")
    found = machine.memory(patient())
    assert levels(found) == ["warn"]
    assert found[0].told.startswith("2.0 GiB")


@pytest.mark.parametrize(
    ("answer", "torch", "expected"),
    [
        ("", "2.14.1", ["fail"]),
        ("NVIDIA T4, 8000\n", "2.14.1", ["warn"]),
        ("NVIDIA H100, 81559\nNVIDIA H100, 81559\n", "2.14.1+cu130", ["ok", "ok"]),
        ("NVIDIA H100, 81559\n", "2.14.1+cpu", ["ok", "fail"]),
    ],
)
def test_gpu__of_the_full_profile(
    monkeypatch: pytest.MonkeyPatch, answer: str, torch: str, expected: list[str]
) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=answer))
    monkeypatch.setattr(importlib.metadata, "version", lambda _: torch)
    assert levels(machine.gpu(patient(FULL))) == expected
    assert levels(machine.gpu(patient())) == ["ok"]


def test_data_folder__is_a_file_or_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert levels(folders.data_folder(patient(data=tmp_path / "file"))) == ["fail"]
    assert levels(folders.data_folder(patient(data=tmp_path / "new" / "data"))) == ["ok"]
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert levels(folders.data_folder(patient(data=tmp_path))) == ["fail"]


def test_world__of_another_seed(tmp_path: Path) -> None:
    claim(tmp_path, Settings.model_validate({"seed": 5}).world)
    assert levels(folders.world(patient(data=tmp_path, seed=5))) == ["ok"]
    assert levels(folders.world(patient(data=tmp_path, seed=6))) == ["fail"]


def test_disk__too_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: usage(1024**3))
    assert levels(folders.disk(patient(data=tmp_path))) == ["warn"]
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: usage(1024**4))
    assert levels(folders.disk(patient(FULL, data=tmp_path))) == ["ok"]


def test_annotations__none_at_full_size_and_empty_folders(tmp_path: Path) -> None:
    assert levels(folders.annotations(patient())) == ["ok"]
    assert levels(folders.annotations(patient(FULL))) == ["fail"]
    found = folders.annotations(patient(FULL, modanet=tmp_path))
    assert levels(found) == ["fail"]
    assert "no JSON and no pictures" in found[0].told
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.JPG").write_text("")
    (tmp_path / "instances.json").write_text("")
    assert levels(folders.annotations(patient(FULL, modanet=tmp_path))) == ["ok"]


def test_annotations__a_folder_of_coco_sets_is_looked_at_too(tmp_path: Path) -> None:
    found = folders.annotations(patient(FULL, coco=tmp_path))
    assert (levels(found), found[0].told.partition(":")[0]) == (["fail"], "coco")


def test_thumbnails__without_labels_and_with_them(tmp_path: Path) -> None:
    assert folders.thumbnails(patient()) == []
    found = folders.thumbnails(patient(thumbnails=tmp_path))
    assert (levels(found), found[0].told) == (["fail"], f"no labels.csv in {tmp_path}")
    (tmp_path / "labels.csv").write_text("image,category,group\n")
    assert levels(folders.thumbnails(patient(thumbnails=tmp_path))) == ["ok"]


def test_photos__without_tables_and_with_them(tmp_path: Path) -> None:
    assert folders.photos(patient()) == []
    found = folders.photos(patient(photos=tmp_path))
    assert levels(found) == ["fail"]
    assert "images.csv is missing" in found[0].told
    (tmp_path / "a.jpg").write_text("")
    (tmp_path / "images.csv").write_text("image,sku,color,view,category\na.jpg,a,,main,top\n")
    (tmp_path / "pairs.csv").write_text("anchor,positive,same_colour\na.jpg,a.jpg,1\n")
    found = folders.photos(patient(photos=tmp_path))
    assert (levels(found), found[0].told) == (["ok"], f"{tmp_path}: 1 products, 1 posts")


def test_dagster_home__unset_missing_bare(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {"DAGSTER_HOME": str(home)}
    assert levels(folders.dagster_home(patient())) == ["warn"]
    assert levels(folders.dagster_home(patient(environment))) == ["fail"]
    home.mkdir()
    assert levels(folders.dagster_home(patient(environment))) == ["warn"]
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert levels(folders.dagster_home(patient(environment))) == ["ok"]


def test_ports__held_by_another_program(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(services, "_PATIENCE", 0.3)
    monkeypatch.setattr(services, "_SERVED", {taken: "the page"})
    found = services.ports(patient(sandbox_port=taken))
    assert found[0].level == "fail"
    assert "another program" in found[0].told
    assert found[-1].level == "warn"


def test_ports__held_by_the_sandbox_itself(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(services, "_sandbox", lambda _: {"seed": 1})
    assert services.ports(patient(sandbox_port=taken))[0].level == "ok"


def test_daemon__never_ran_then_lives_then_is_silent(tmp_path: Path) -> None:
    import dagster as dg
    from dagster._daemon.types import DaemonHeartbeat

    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    at = patient({"DAGSTER_HOME": str(tmp_path)})
    assert services.daemon(patient()) == []
    assert levels(services.daemon(at)) == ["warn"]
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        for age, expected in ((1000.0, "warn"), (0.0, "ok")):
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - age, "SENSOR", "1"))
            assert levels(services.daemon(at)) == [expected]


def test_addresses__answer_or_not(taken: int) -> None:
    found = services.addresses(patient(milvus=f"http://user:hush@127.0.0.1:{taken}"))
    assert levels(found) == ["ok"]
    assert "hush" not in found[0].told
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert levels(services.addresses(patient(milvus=f"http://127.0.0.1:{free}"))) == ["fail"]
    assert services.addresses(patient(milvus="milvus.db")) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("", "warn"), ("our-shop/1.0", "warn"), ("shop (ann@example.com)", "ok"), ("shop (+https://example.com)", "ok")],
)
def test_contact__real_sites_are_told_where_to_complain(name: str, expected: str) -> None:
    assert levels(services.contact(patient(FULL, user_agent=name))) == [expected]
    assert levels(services.contact(patient(user_agent=name))) == ["ok"]


@pytest.mark.parametrize(("url", "port"), [("http://hooks.test/x", 80), ("https://user:hush@hooks.test", 443)])
def test_addresses__web_address_without_a_port(monkeypatch: pytest.MonkeyPatch, url: str, port: int) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(services, "_listens", lambda *address: bool(asked.append(address)))
    found = services.addresses(patient(webhook=url))
    assert (levels(found), asked) == (["fail"], [("hooks.test", port)])
    assert "hooks" not in found[0].told


def test_storage__can_be_written_or_has_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    assert services.storage(patient()) == []
    at = patient({"FASHION_TABLES": "memory://doctor/tables"})
    found = services.storage(at)
    assert [(item.level, item.told) for item in found] == [("ok", "memory://doctor/tables can be written to")]
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert levels(services.storage(at)) == ["fail"]


def test_storage__folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert levels(services.storage(patient({"FASHION_TABLES": str(tmp_path / "tables")}))) == ["ok"]
    found = services.storage(patient({"FASHION_TABLES": str(tmp_path / "file")}))
    assert (levels(found), found[0].remedy) == (["fail"], "set FASHION_TABLES to a folder")


def test_storage__tables_of_another_world(tmp_path: Path) -> None:
    own = patient({"FASHION_TABLES": str(tmp_path / "own")})
    claim(tmp_path / "own", own.settings.world)
    assert levels(services.storage(own)) == ["ok"]
    claim(tmp_path, "the real sites")
    (found,) = services.storage(patient({"FASHION_TABLES": str(tmp_path)}))
    assert (found.level, found.told) == ("fail", f"{tmp_path} holds 'the real sites', not 'sandbox seed 1, 1000 posts'")


def test_storage__that_refuses_is_a_finding() -> None:
    found = diagnose({"FASHION_TABLES": "nothing-like-this://x/y"}, [services.storage])
    assert levels(found) == ["fail"]


def test_diagnose__data_folder_that_is_a_url() -> None:
    found = diagnose({"FASHION_DATA": "s3://bucket/shop"}, [folders.data_folder, services.storage])
    assert (found[0].probe, found[0].level) == ("settings", "fail")
    assert "FASHION_DATA: must be a folder of this machine, got 's3://bucket/shop'" in found[0].told


def test_doctor_command__needs_no_torch() -> None:
    code = "import sys; from pipelines.doctor import diagnose; diagnose({}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
