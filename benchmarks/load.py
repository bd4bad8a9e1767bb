"""The service under 32 clients that ask without a pause for a minute: latency, errors, memory.

Takes the data folder of a finished `make demo`. Side by side: a pass of the models per query, and passes shared by
up to eight. A client that is told 429 waits as long as Retry-After says.
"""

import argparse
import asyncio
import json
from collections import Counter
from pathlib import Path
from time import monotonic

import httpx

from benchmarks.serving import Served, served

_TIMEOUT = 60.0  # seconds


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data folder of a finished demo")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    photos = [path.read_bytes() for path in sorted((options.data / "examples").glob("*.jpg"))]
    if not photos:
        parser.error(f"{options.data} holds no examples/*.jpg; name the data folder of a finished demo")
    print(f"{'':<16}{'answers':>9}{'a second':>9}{'p50 s':>8}{'p99 s':>8}{'429':>6}{'5xx':>5}{'MiB':>13}")
    found = {}
    for name, batch in (("one by one", 1), ("shared passes", 8)):
        with served(options.data, batch) as service:
            row = asyncio.run(_load(service, photos, options.clients, options.seconds))
        found[name] = row
        memory = f"{row['mib_before']:.0f} → {row['mib_after']:.0f}"
        print(
            f"{name:<16}{row['answers']:>9.0f}{row['per_second']:>9.1f}{row['p50']:>8.2f}{row['p99']:>8.2f}"
            f"{row['busy']:>6.0f}{row['server_errors']:>5.0f}{memory:>13}"
        )
    print(json.dumps(found))


async def _load(service: Served, photos: list[bytes], clients: int, seconds: float) -> dict[str, float]:
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=service.address, timeout=_TIMEOUT, limits=limits) as client:
        await _ask(client, photos, 2 * clients, monotonic() + seconds / 6, [], Counter())  # warm
        before = service.mib
        spent: list[float] = []
        statuses: Counter[int] = Counter()
        start = monotonic()
        await _ask(client, photos, clients, start + seconds, spent, statuses)
        whole = monotonic() - start
    if not spent:
        raise SystemExit(f"no query was answered; how often each status came back: {dict(statuses)}")
    spent.sort()
    figures = {
        "answers": float(statuses[200]),
        "per_second": statuses[200] / whole,
        "p50": spent[len(spent) // 2],
        "p99": spent[int(0.99 * len(spent))],
        "busy": float(statuses[429]),
        "server_errors": float(sum(count for status, count in statuses.items() if status >= 500)),
        "mib_before": before,
        "mib_after": service.mib,
    }
    return {name: round(value, 2) for name, value in figures.items()}


async def _ask(
    client: httpx.AsyncClient,
    photos: list[bytes],
    clients: int,
    until: float,
    spent: list[float],
    statuses: Counter[int],
) -> None:
    async def one(number: int) -> None:
        while monotonic() < until:
            number += 1
            start = monotonic()
            form = {"photo": ("x.jpg", photos[number % len(photos)], "image/jpeg")}
            response = await client.post("/api/search", files=form, data={"top": 24})
            statuses[response.status_code] += 1
            if response.status_code == 429:
                await asyncio.sleep(float(response.headers["retry-after"]))
            elif response.status_code == 200:
                spent.append(monotonic() - start)

    await asyncio.gather(*(one(number) for number in range(clients)))


if __name__ == "__main__":
    main()
