"""What may be asked for, by Scrapy and by the browser; and how long to wait."""

import asyncio
import socket
import time
from email.utils import formatdate
from types import SimpleNamespace

import pytest
from scrapy.http import Response  # noqa: TID253 - a test of a Scrapy middleware

from crawlers.middlewares import retry_after
from crawlers.policy import Policy, abort, activate, redirect_refusal
from crawlers.resolver import PublicResolver


def refusal(url: str, *hosts: str, allow_private: bool = False) -> str | None:
    return asyncio.run(Policy(frozenset(hosts), allow_private=allow_private).refusal(url))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:3000/graphql", "private address 127.0.0.1"),
        ("http://169.254.169.254/latest", "private address"),
        ("http://10.1.2.3/", "private address"),
        ("http://[::1]/", "private address ::1"),
        ("http://localhost/", "private address"),
        ("http://0/", "private address"),
        ("http://2130706433/", "private address 127.0.0.1"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("http://other.example/", "host 'other.example' is not one of"),
    ],
)
def test_refusal__private_and_foreign_addresses(url: str, message: str) -> None:
    hosts = ("127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "localhost", "0", "2130706433")
    assert message in (refusal(url, *hosts) or "")


@pytest.mark.parametrize(
    ("address", "private"),
    [("93.184.216.34", False), ("127.0.0.1", True), ("169.254.169.254", True), ("10.0.0.8", True)],
)
def test_resolver__name_that_turned_private_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, address: str, private: bool
) -> None:
    monkeypatch.setattr("scrapy.resolver.dnscache", {"shop.example": address})
    answers: list[object] = []
    resolver = PublicResolver.__new__(PublicResolver)  # the cache answers: no reactor is needed
    resolver.getHostByName("shop.example").addBoth(answers.append)
    if private:
        assert "shop.example is the private address" in str(answers[0])
    else:
        assert answers == [address]


def test_refusal__allowed_host_and_private_on_request() -> None:
    assert refusal("http://93.184.216.34/", "93.184.216.34") is None
    assert refusal("http://127.0.0.1:8600/x", "127.0.0.1", allow_private=True) is None
    assert refusal("http://127.0.0.2:8600/x", "127.0.0.1", allow_private=True) is not None


def test_host_rules__only_names_of_public_addresses_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"shop.test": ["93.184.216.34"], "inside.test": ["10.0.0.8"], "both.test": ["93.184.216.34", "::1"]}

    def look_up(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host not in addresses:
            raise socket.gaierror
        return [(None, None, None, "", (address, 0)) for address in addresses[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    hosts = frozenset({*addresses, "nowhere.test"})

    def rules(allow_private: bool) -> str:
        return asyncio.run(Policy(hosts, allow_private=allow_private).host_rules())

    assert rules(False) == "MAP shop.test 93.184.216.34, MAP * ~NOTFOUND"
    assert refusal("http://shop.test/", *hosts) is None
    assert "private address ::1" in (refusal("http://both.test/", *hosts) or "")
    opened = "MAP both.test 93.184.216.34, MAP inside.test 10.0.0.8, MAP shop.test 93.184.216.34, MAP * ~NOTFOUND"
    assert rules(True) == opened


def test_abort__browser_loads_only_what_is_allowed_and_needed() -> None:
    async def allowed(url: str) -> bool:
        return "/bridge" not in url

    policy = Policy(frozenset({"127.0.0.1"}), allow_private=True)
    policy.ask_robots(allowed)
    activate(policy)

    def aborted(url: str, kind: str) -> bool:
        return asyncio.run(abort(SimpleNamespace(url=url, resource_type=kind)))

    assert not aborted("http://127.0.0.1/a.js", "script")
    assert not aborted("http://127.0.0.1/a.jpg", "image")
    assert aborted("http://127.0.0.1/a.jpg?w=192", "image")
    assert aborted("http://127.0.0.1/bridge/pixel.gif", "image")
    assert aborted("http://127.0.0.1/a.woff", "font")
    assert aborted("http://192.168.0.1/graphql", "fetch")
    assert aborted("chrome-extension://x/", "script")


def test_retry_after__number_date_and_nonsense() -> None:
    def asked(value: str | None) -> float | None:
        return retry_after(Response("http://x", headers={} if value is None else {"Retry-After": value}))

    assert asked("7") == 7
    assert 50 < (asked(formatdate(time.time() + 60, usegmt=True)) or 0) < 61
    assert asked(formatdate(time.time() - 60, usegmt=True)) == 0
    assert asked("soon") is None
    assert retry_after(Response("http://x", headers={"Retry-After": "²".encode("latin-1")})) is None
    assert asked(None) is None


def test_redirect_refusal__without_a_policy_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawlers.policy._active", None)
    assert asyncio.run(redirect_refusal("http://shop.test/")) == "no policy"
