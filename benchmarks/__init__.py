"""Measurements that anyone can repeat: `python -m benchmarks.NAME`. The last line printed is one JSON object."""
