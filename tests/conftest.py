"""Shared by all tests: one torch thread, offline hub, small pictures."""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.curation.clusters import cluster  # noqa: E402, F401 - fixtures for all rooms
from tests.curation.hub_stand_in import hub  # noqa: E402, F401
