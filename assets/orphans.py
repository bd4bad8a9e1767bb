"""No step outlives its run: one that did would crawl or train beside the run that is started in its place."""

import multiprocessing
import os
import signal
import threading
import time
from functools import cache
from typing import Final

_GRACE_S: Final = 30.0


@cache
def end_with_run() -> None:
    """End this step, and so its crawl or training, when the process that runs the steps dies, however it dies.

    That process starts steps through a server that outlives it, so the kernel's signal on a parent's death never comes;
    what `multiprocessing` keeps open towards it does close. A step that runs inside its run has nobody to outlive.
    """
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_watch, name="end-with-run", daemon=True).start()


def _watch() -> None:
    run = multiprocessing.parent_process()
    if run is None:
        return
    run.join()
    os.kill(os.getpid(), signal.SIGTERM)  # Dagster's handler ends the step's child first
    time.sleep(_GRACE_S)
    os._exit(1)
