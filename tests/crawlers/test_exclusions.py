"""Take-downs: recorded once, checked, never half read."""

from pathlib import Path

import pytest

from crawlers.errors import ConfigError
from crawlers.exclusions import FILE_NAME, Exclusions, Kind, exclude, lift, read_exclusions


def test_exclude__posts_products_and_images_of_a_site(tmp_path: Path) -> None:
    assert exclude(tmp_path, "kream", "post", ["12", "012", "13"], "mail of 1 May") == 2
    assert exclude(tmp_path, "kream", "post", ["13", "14"], "mail of 2 May") == 1
    exclude(tmp_path, "kream", "product", ["77"], " brand \n")
    exclude(tmp_path, "kream", "image", ["https://a.kr/x.jpg?type=l"], "photographer")
    known = Exclusions.read(tmp_path, "kream")
    assert [known.post(n) for n in (12, 13, 14, 15)] == [True, True, True, False]
    assert (known.product("77"), known.product("7"), known.product(None)) == (True, False, False)
    assert known.image("https://a.kr/x.jpg")
    assert known.image("https://a.kr/x.jpg?type=s")
    assert not known.image("https://a.kr/y.jpg")
    assert not known.image(None)
    assert not Exclusions.read(tmp_path, "onthelook").post(12)
    reasons = [entry.reason for entry in read_exclusions(tmp_path)]
    assert reasons == ["mail of 1 May", "mail of 1 May", "mail of 2 May", "brand", "photographer"]


@pytest.mark.parametrize(
    ("kind", "value", "reason", "message"),
    [
        ("post", "abc", "x", "must be a post id, got 'abc'"),
        ("post", "١٢", "x", "must be a post id"),
        ("image", "file:///etc/passwd", "x", "must be an http or https address"),
        ("image", "http://[", "x", "must be an http or https address"),
        ("product", " ", "x", "must not be empty"),
        ("product", "1", " ", "must say who asked"),
    ],
)
def test_exclude__wrong_value(tmp_path: Path, kind: Kind, value: str, reason: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        exclude(tmp_path, "kream", kind, [value], reason)
    assert read_exclusions(tmp_path) == []


def test_lift__a_later_line_takes_it_back(tmp_path: Path) -> None:
    exclude(tmp_path, "kream", "post", ["12", "13"], "mail of 1 May")
    lines = (tmp_path / FILE_NAME).read_text()
    assert lift(tmp_path, "kream", "post", ["12", "14"], "a typo") == 1
    assert (tmp_path / FILE_NAME).read_text().startswith(lines)
    known = Exclusions.read(tmp_path, "kream")
    assert (known.post(12), known.post(13)) == (False, True)
    assert exclude(tmp_path, "kream", "post", ["12"], "mail of 3 May") == 1
    assert Exclusions.read(tmp_path, "kream").post(12)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"])
def test_read_exclusions__reason_with_any_line_break_is_one_line(tmp_path: Path, mark: str) -> None:
    reason = f"mail of 1 May{mark}from the owner"
    exclude(tmp_path, "kream", "post", ["1"], reason)
    exclude(tmp_path, "kream", "product", [f"7{mark}7"], reason)
    assert [entry.reason for entry in read_exclusions(tmp_path)] == [reason, reason]
    assert Exclusions.read(tmp_path, "kream").product(f"7{mark}7")


def test_read_exclusions__broken_line_is_refused(tmp_path: Path) -> None:
    exclude(tmp_path, "kream", "post", ["1"], "x")
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"kind": "post", "val')
    with pytest.raises(ConfigError, match=r"exclusions\.jsonl:2 is no exclusion"):
        Exclusions.read(tmp_path, "kream")
