"""The devalue decoder: what it reads, and that nothing hostile hangs or crashes it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.errors import NuxtDataError
from crawlers.pages.nuxt import decode, find
from sandbox.sites.devalue import stringify

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_decode__reads_what_stringify_writes(value: Any) -> None:
    assert decode(stringify(value)) == value


def test_decode__unwraps_and_knows_tags() -> None:
    flat = [
        {"r": 1, "d": 3, "s": 4, "m": 5, "n": 8, "u": -1, "f": 9},
        ["Reactive", 2],
        [6, 7],
        ["Date", "2024-01-02T03:04:05.000Z"],
        ["Set", 6, 7],
        ["Map", 7, 6],
        1,
        "x",
        ["null", "k", 6],
        ["function"],
        "what -1 is not",
    ]
    assert decode(json.dumps(flat)) == {
        "r": [1, "x"],
        "d": "2024-01-02T03:04:05.000Z",
        "s": [1, "x"],
        "m": {"x": 1},
        "n": {"k": 1},
        "u": None,
        "f": None,
    }


@pytest.mark.parametrize("tagged", [["Set", None, None], ["Map", 50, None, 51, None], ["null", "a", None, "b", None]])
def test_decode__tagged_value_is_read_once(tagged: list[Any]) -> None:
    flat = [[index + 1 if part is None else part for part in tagged] for index in range(49)]  # 2**49 paths
    data = decode(json.dumps([*flat, {}, "a", "b"]))
    first, second = data if isinstance(data, list) else data.values()
    assert first is second


@pytest.mark.parametrize(("tagged", "place"), [(["Set", 0], 0), (["Map", 1, 0], "k"), (["null", "k", 0], "k")])
def test_decode__tagged_value_may_hold_itself(tagged: list[Any], place: Any) -> None:
    data = decode(json.dumps([tagged, "k"]))
    assert data[place] is data


def test_decode__key_that_is_no_text_is_not_written_out() -> None:
    flat: list[Any] = [["Map", 2, 1, 1, 3], "k"]
    flat += [[index + 1, index + 1] for index in range(2, 60)]  # 2**58 paths
    assert decode(json.dumps([*flat, 5]))["#0"] == "k"


def test_decode__cycle_points_back() -> None:
    data = decode('[{"self":0,"list":1},[0]]')
    assert data["self"] is data
    assert data["list"][0] is data
    assert list(find(data, lambda value: "list" in value)) == [data]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "[{", '[{"a":7}]', '[{"a":true}]', '[{"a":"0"}]', '[["Ref",0]]', "[[0.5]]", "[" * 100_000],
)
def test_decode__refuses_what_is_no_payload(text: str) -> None:
    with pytest.raises(NuxtDataError):
        decode(text)


def test_decode__long_chain_does_not_exhaust_the_stack() -> None:
    flat = [[index + 1] for index in range(5_000)]
    with pytest.raises(NuxtDataError, match="deeper"):
        decode(json.dumps([*flat, 1]))


def test_find__shared_values_are_visited_once() -> None:
    flat: list[Any] = [{"a": 1, "b": 1}]
    flat += [{"a": index + 1, "b": index + 1} for index in range(1, 60)]  # 2**60 paths
    flat.append({"id": 61})
    flat.append(5)
    assert list(find(decode(json.dumps(flat)), lambda value: value.get("id") == 5)) == [{"id": 5}]
