"""Crawls as an operator starts them: `python -m crawlers …` in a process, and what they left."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from curation.tables import ShardedTable
from sandbox.sites.server import Server

FAST = ("--delay", "0", "--allow-private", "--block-size", "10", "--frontier-window", "8")
CATALOG_FAST = ("--delay", "0", "--allow-private", "--scroll-wait", "0.3")


def command(kind: str, url: str, out: Path, *more: str) -> list[str]:
    """A crawl's command line."""
    fast = CATALOG_FAST if kind.endswith("-catalog") else FAST
    return [sys.executable, "-m", "crawlers", kind, "--base-url", url, "--out", str(out), *fast, *more]


def run(*arguments: str, code: int = 0) -> dict[str, Any]:
    """Run any command of the crawlers, check its exit code, and return its output; on failure `{"error": text}`."""
    line = [sys.executable, "-m", "crawlers", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return {"error": done.stderr} if code else json.loads(done.stdout)


def crawl(kind: str, url: str, out: Path, *more: str, code: int = 0) -> dict[str, Any]:
    """Run a crawl and return its stats; on failure `{"error": text}`."""
    return run(*command(kind, url, out, *more)[3:], code=code)


def ledger(out: Path, site: str) -> dict[int, str]:
    """Post id → `state:reason`; each id once."""
    rows = ShardedTable(out / "ledger", site).table().to_pylist()
    assert len({row["post_id"] for row in rows}) == len(rows)
    return {row["post_id"]: row["state"] + (f":{row['reason']}" if row["reason"] else "") for row in rows}


def content(out: Path, site: str) -> str:
    """Identity of what was crawled, without times."""
    return ShardedTable(out / "posts", site).fingerprint


def hits(server: Server, site: str) -> dict[str, int]:
    """What a sandbox site was asked for."""
    return dict(server.sites[site].hits)
