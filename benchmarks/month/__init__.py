"""A simulated month of nights on a growing sandbox: `python -m benchmarks.month`.

The schedules and sensors are the product's own. A day takes seconds: their ticks are evaluated at the times of an
invented calendar, and what the crawler waits for in hours it waits for in tenths of a second (`fast.py`). The nights
are run by one process, the daemon (`daemon.py`), with runs inside it; the world (`world.py`), the operator and all that
goes wrong (`events.py`) are in the other. At the end what is on disk is compared with the truth (`truth.py`).
"""
