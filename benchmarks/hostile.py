"""2,000 hostile requests: broken pictures and fields, oversized and slow bodies, and what the API's document allows.

Takes the data folder of a finished `make demo`. What is wanted: no answer of 500 and above, and memory that stays, from
when the models and every kind of request have been warmed up. The document's requests are made by schemathesis.
"""

import argparse
import io
import json
import random
import socket
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from PIL import Image

from benchmarks.serving import TOKEN, Served, served
from search.guard import MAX_BODY

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
_PARTS: Final = 4  # after each of which memory is looked at
_OVERSIZED: Final = 1 / 100  # share of the uploads
_SLOW: Final = 40  # connections that never end what they began
_TEXTS: Final = (
    *("", "nan", "1e999", "-1", "0,0,0,0", "inf,-inf,nan,0", "1,2,3", "9" * 199, "\x00", "' OR 1=1 --", "{{7*7}}"),
    *("../../etc/passwd", "%2e%2e%2f", "<script>alert(1)</script>", "한글", "\ud7ff\U0010ffff", "top", "shoes", "5"),
)
_FIELDS: Final = ("box", "category", "top", "brand", "site", "min_price", "max_price", "photo", "unknown")
_PATHS: Final = (
    *("/static/..%2f..%2fetc%2fpasswd", "/static/%00", "/api/examples/-1", "/api/examples/99999999999999999999"),
    *("/api/products/%2e%2e%2f/thumbnail", "/api/products//similar", "/api/products/x/similar?top=-1", "/%ff%fe"),
    *("/api/products/" + "x" * 5000 + "/similar", "/api/review/queue?reviewer=x", "/nowhere?url=http://127.0.0.1/"),
)

Request = dict[str, Any]
"""Arguments of `httpx.Client.request`."""


def hostile_requests(count: int, seed: int = 0) -> Iterator[Request]:
    """Requests that a service must refuse or answer, the same for the same seed."""
    rng = random.Random(seed)
    photos = [_encoded(rng, name) for name in FORMATS]
    kinds: list[Callable[[], Request]] = [
        lambda: _upload(rng, _mutated(rng, rng.choice(photos))),
        lambda: _upload(rng, _mutated(rng, rng.choice(photos))),
        lambda: _upload(rng, rng.choice(photos), fields=True),
        lambda: _upload(rng, _bomb(rng)),
        lambda: _upload(rng, rng.randbytes(rng.randrange(2000))),
        lambda: _broken_form(rng),
        lambda: {"method": rng.choice(["GET", "HEAD", "POST", "PUT", "DELETE"]), "url": rng.choice(_PATHS)},
        lambda: _verdict(rng),
    ]
    for _ in range(count):
        yield _upload(rng, bytes(MAX_BODY + 1)) if rng.random() < _OVERSIZED else rng.choice(kinds)()


def document_requests(document: Any, examples: int, visit: Callable[[Any], None]) -> None:
    """Call `visit(case)` with valid and invalid requests of every operation in a schemathesis document."""
    from hypothesis import HealthCheck, Phase, given, settings

    for found in document.get_all_operations():
        quiet = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        quiet(given(case=found.ok().as_strategy())(lambda case: visit(case)))()


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data folder of a finished demo")
    parser.add_argument("--count", type=int, default=2000, help="requests (default 2000)")
    parser.add_argument("--clients", type=int, default=4, help="that send at once (default 4)")
    options = parser.parse_args()
    statuses: Counter[int] = Counter()
    with served(options.data, batch=8) as service:
        _send(service, options.clients, options.count // 10, seed=1)  # warm
        _send_document(service, options.count // 20)
        memory = [service.mib]
        slow = _open_slow(service)
        for part in range(_PARTS):
            statuses += _send(service, options.clients, round(0.8 * options.count / _PARTS), seed=2 + part)
            memory.append(service.mib)
        statuses += _send_document(service, options.count - statuses.total())
        statuses += _send(service, options.clients, options.count - statuses.total(), seed=0)  # it may run out of ideas
        time.sleep(12)  # the slow ones are let go after ten seconds
        closed = sum(_is_closed(connection) for connection in slow)
        alive = httpx.get(f"{service.address}/readyz").status_code
        memory.append(service.mib)
    for status, number in sorted(statuses.items()):
        print(f"{status or 'no answer':<10}{number:>6}")
    figures = {
        "requests": statuses.total(),
        "server_errors": sum(number for status, number in statuses.items() if status >= 500),
        "slow_closed": f"{closed} of {len(slow)}",
        "ready_afterwards": alive == 200,
        "mib": [round(value, 1) for value in memory],
    }
    print(json.dumps(figures))


def _send(service: Served, clients: int, count: int, seed: int) -> Counter[int]:
    """Send requests, from several clients at once; how often each status came back, 0 for no answer."""

    def one(number: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        with httpx.Client(base_url=service.address, timeout=60) as client:
            for request in islice(hostile_requests(count, seed), number, None, clients):
                try:
                    statuses[client.request(**request).status_code] += 1
                except (httpx.TransportError, httpx.InvalidURL):  # it may hang up on a body that it does not want
                    statuses[0] += 1
        return statuses

    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(one, range(clients)), Counter())


def _send_document(service: Served, count: int) -> Counter[int]:
    from schemathesis import openapi

    statuses: Counter[int] = Counter()
    document = openapi.from_url(f"{service.address}/openapi.json")
    operations = sum(1 for _ in document.get_all_operations())

    def visit(case: Any) -> None:
        if statuses.total() < count:
            statuses[case.call(headers={"authorization": f"Bearer {TOKEN}"}).status_code] += 1

    document_requests(document, -(-count // operations), visit)
    return statuses


def _open_slow(service: Served) -> list[socket.socket]:
    where = urlsplit(service.address)
    found = []
    for _ in range(_SLOW):
        connection = socket.create_connection((where.hostname or "", where.port or 0))
        connection.sendall(b"POST /api/search HTTP/1.1\r\nhost: x\r\n")
        found.append(connection)
    return found


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.1)
    try:
        return connection.recv(4096) == b""
    except TimeoutError:
        return False
    finally:
        connection.close()


def _encoded(rng: random.Random, name: str) -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (96, 128), rng.randbytes(96 * 128 * 3)).save(buffer, name)
    return buffer.getvalue()


def _mutated(rng: random.Random, data: bytes) -> bytes:
    """Some bytes changed, mostly near the head, where lengths and sizes are; often cut short or glued to another."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 12)):
        changed[int(len(changed) * rng.random() ** 4)] = rng.randrange(256)
    if rng.random() < 0.3:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed) + (data if rng.random() < 0.1 else b"")


def _bomb(rng: random.Random) -> bytes:
    """A PNG that says it is huge, or is: a few hundred kilobytes that decode to many megapixels."""
    side = rng.choice([1, 5000, 6300, 20_000, 2**31 - 1])
    header = struct.pack(">IIBBBBB", side, rng.choice([1, 6300, side]), 8, rng.choice([0, 2, 3, 6]), 0, 0, 0)
    body = zlib.compress(bytes(rng.choice([10, 4_000_000])))
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    parts = [struct.pack(">I", len(of)) + name + of + struct.pack(">I", zlib.crc32(name + of)) for name, of in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _upload(rng: random.Random, photo: bytes, *, fields: bool = False) -> Request:
    name, kind = rng.choice([("x.jpg", "image/jpeg"), ("../../x.php", "text/html"), ("\u202e.png", "image/png")])
    request: Request = {"method": "POST", "url": rng.choice(["/api/search", "/api/detect"])}
    request["files"] = {"photo": (name, photo, kind)}
    if fields:
        request["data"] = {rng.choice(_FIELDS): rng.choice(_TEXTS) for _ in range(rng.randrange(1, 5))}
    return request


def _broken_form(rng: random.Random) -> Request:
    kind = rng.choice(["multipart/form-data", "multipart/form-data; boundary=cut", "application/json", "", "\x7f"])
    head = b'--cut\r\ncontent-disposition: form-data; name="photo"; filename="x"\r\n\r\n'
    content = rng.choice([b"", head, head * 1500, b"--cut--", rng.randbytes(500), b'{"photo": [[[' * 50])
    return {"method": "POST", "url": "/api/search", "content": content, "headers": {"content-type": kind}}


def _verdict(rng: random.Random) -> Request:
    body = {"pair": rng.choice([*_TEXTS, "0" * 16]), "decision": rng.choice(["accept", "x"]), "reviewer": "x"}
    token = rng.choice([TOKEN, "", "\xff", "x" * 4000])
    headers = {"authorization": f"Bearer {token}".encode("latin-1")}
    return {"method": "POST", "url": "/api/review/verdicts", "json": body, "headers": headers}


if __name__ == "__main__":
    main()
