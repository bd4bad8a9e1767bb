"""`python -m assets.child MODULE ARGS…`: run a room's command line as the child process of an asset.

The rooms know nothing of Dagster. This opens the pipe to the asset, forwards the rooms' log lines to the run while they
happen, and then becomes the command.
"""

import logging
import runpy
import sys
from typing import Final

from dagster_pipes import PipesContext, open_dagster_pipes

from crawlers.process import die_with_parent

_ROOMS: Final = ("crawlers", "curation", "models", "search")


class PipeHandler(logging.Handler):
    """Sends log records to the run."""

    def __init__(self, pipes: PipesContext) -> None:
        super().__init__(logging.INFO)
        self._pipes = pipes

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record at its own level."""
        self._pipes.log.log(record.levelno, record.getMessage())


def main() -> None:
    """Run the module named by the first argument with the others."""
    die_with_parent()  # a killed run leaves no training behind that the next run would meet in its folder
    module, *arguments = sys.argv[1:]
    with open_dagster_pipes() as pipes:
        handler = PipeHandler(pipes)
        for room in _ROOMS:
            logger = logging.getLogger(room)
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
