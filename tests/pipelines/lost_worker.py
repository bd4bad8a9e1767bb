"""A code location whose asset holds a pool's only slot until its worker is killed, and is quick the second time."""

import os
import time
from pathlib import Path

import dagster as dg

from pipelines.executor import processes

FOLDER = "LOST_WORKER_FOLDER"


@dg.asset(pool="chromium")
def crawl() -> None:
    """Notes who makes it; the first one never ends by itself."""
    folder = Path(os.environ[FOLDER])
    tries = len(list(folder.glob("try-*")))
    (folder / f"try-{tries}").write_text(f"{os.getpid()} {os.getppid()}")
    while not tries:
        time.sleep(0.1)


job = dg.define_asset_job("crawl_job", [crawl])
defs = dg.Definitions([crawl], jobs=[job], executor=processes)
