"""Versions stay side by side, switch in one step, and expire by policy."""

import os
import time
from pathlib import Path

import pytest

from curation.versions import VersionError, Versions


def _publish(versions: Versions, text: str) -> str:
    with versions.stage() as (name, folder):
        (folder / "file").write_text(text)
    return name


def test_stage__publishes_and_switches(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    assert (versions.names, versions.current) == ([], None)
    assert [_publish(versions, "one"), _publish(versions, "two")] == ["0001", "0002"]
    assert (tmp_path / "data" / "file").read_text() == "two"
    assert versions.current == tmp_path / "data_versions" / "0002"


def test_names__are_numbers_beyond_four_digits_too(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    (versions.folder / "9999").mkdir(parents=True)
    assert [_publish(versions, "one"), _publish(versions, "two")] == ["10000", "10001"]
    assert versions.names == ["9999", "10000", "10001"]


def test_around__the_versions_of_a_folder(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    _publish(versions, "one")
    found = Versions.around(tmp_path / "data_versions" / "0001")
    assert (found and found.link, found and found.current) == (versions.link, versions.current)
    assert Versions.around(tmp_path / "data") is None


def test_stage__failure_leaves_nothing(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    _publish(versions, "one")
    with pytest.raises(ZeroDivisionError), versions.stage() as (_, folder):
        (folder / "file").write_text(str(1 / 0))
    assert [path.name for path in versions.folder.iterdir()] == ["0001"]
    assert (tmp_path / "data" / "file").read_text() == "one"


def test_stage__second_of_two_writers_is_refused(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    with pytest.raises(VersionError, match="another writer"), versions.stage() as (_, folder):
        (folder / "file").write_text(_publish(Versions(tmp_path / "data"), "early"))
    assert (tmp_path / "data" / "file").read_text() == "early"


def test_activate__rolls_back(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    for text in ("one", "two"):
        _publish(versions, text)
    versions.activate("0001")
    assert (tmp_path / "data" / "file").read_text() == "one"
    assert _publish(versions, "three") == "0003"  # a number is never used twice
    with pytest.raises(VersionError, match="must be one of 0001, 0002, 0003, got '0009'"):
        versions.activate("0009")


def test_expire__keeps_the_newest_and_the_one_in_use(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    for text in "abcde":
        _publish(versions, text)
    versions.activate("0002")
    assert versions.expire(keep=2) == ["0001", "0003"]
    assert versions.names == ["0002", "0004", "0005"]
    assert Versions(tmp_path / "none").expire(keep=1) == []


def test_expire__spares_what_a_training_may_still_read(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    for text in "abcd":
        _publish(versions, text)
    an_hour_ago = time.time() - 3600
    for name in ("0001", "0002"):
        os.utime(versions.folder / name, (an_hour_ago, an_hour_ago))
    assert versions.expire(keep=1, older_than=1800) == ["0001"]  # 0002 was in use until 0003 came, just now
    assert versions.names == ["0002", "0003", "0004"]


def test_expire__spares_pinned_versions(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    for text in "abcd":
        _publish(versions, text)
    versions.pin("0001")
    versions.pin("0002")
    versions.pin("0002", pinned=False)
    assert versions.expire(keep=1) == ["0002", "0003"]
    assert (versions.names, versions.pinned) == (["0001", "0004"], {"0001"})
    with pytest.raises(VersionError, match="must be one of 0001, 0004, got '0002'"):
        versions.pin("0002")


def test_stage__removes_what_a_killed_writer_left(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "data")
    killed, writing = (versions.folder / f".{name}.tmp" for name in ("killed", "writing"))
    for folder in (killed, writing):
        folder.mkdir(parents=True)
        (folder / "file").write_text("half")
    for path in (killed / "file", killed, writing):
        os.utime(path, (0, 0))
    _publish(versions, "one")
    assert {path.name for path in versions.folder.iterdir()} == {"0001", writing.name}


@pytest.mark.parametrize("removal", ["remove", "expire"])
def test_versions__killed_while_one_is_deleted(tmp_path: Path, removal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = Versions(tmp_path / "data")
    for text in "ab":
        _publish(versions, text)
    versions.activate("0002" if removal == "expire" else "0001")

    def killed(path: Path, **_: object) -> None:
        (path / "file").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            versions.remove("0001") if removal == "remove" else versions.expire(1)
    assert versions.names == ["0002"]
    assert (tmp_path / "data" / "file").read_text() == "b"
