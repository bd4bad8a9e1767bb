"""A run whose one step starts a child that sleeps: `python -m tests.assets.orphans FOLDER`. For `test_orphans`."""

import sys
from pathlib import Path

import dagster as dg

from assets.io_manager import ReferenceIOManager
from assets.resources import DataFolder
from assets.stage import Outcome, Rows, stage

_CHILD = """
import os, sys, time
from crawlers.process import die_with_parent
die_with_parent()
open(sys.argv[1], "w").write(f"{os.getppid()} {os.getpid()}")
time.sleep(120)
"""


@stage("crawl", kinds={"scrapy"}, checks={})
def long_crawl(context: dg.AssetExecutionContext, data: DataFolder, children: dg.PipesSubprocessClient) -> Outcome:
    """Sleeps."""
    command = [sys.executable, "-c", _CHILD, str(data.path / "pids")]
    children.run(context=context, command=command)
    return Outcome(data.path, Rows(1, 1))


def crawl_job(folder: str) -> dg.JobDefinition:
    data = DataFolder(root=folder)
    resources = {"data": data, "children": dg.PipesSubprocessClient(), "io_manager": ReferenceIOManager(data=data)}
    executor = dg.multiprocess_executor.configured({"start_method": {"forkserver": {}}})
    jobs = [dg.define_asset_job("crawl")]
    return dg.Definitions([long_crawl], jobs=jobs, resources=resources, executor=executor).resolve_job_def("crawl")


def main(folder: Path) -> None:
    with dg.DagsterInstance.local_temp(str(folder / "home")) as instance:
        job = dg.build_reconstructable_job("tests.assets.orphans", "crawl_job", (), {"folder": str(folder)})
        dg.execute_job(job, instance)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
