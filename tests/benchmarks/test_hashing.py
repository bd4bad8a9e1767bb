"""What the benchmark of hashing says of its measurements."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import hashing
from curation.images import encode_jpeg

Ways = dict[str, hashing.Way]


def test_main__all_figures_are_of_one_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = encode_jpeg(Image.new("RGB", (30, 40)))
    (tmp_path / "a.jpg").write_bytes(photo)
    monkeypatch.setattr(hashing, "drawn_photos", lambda _count: [photo])
    off_by_bits = iter([7, 1, 9])  # of each set: as served, as phones upload it, `--photos`

    def measure(ways: Ways, _pictures: list[bytes]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        bits = next(off_by_bits)
        seconds = {way: 1.0 / bits if way.startswith("fast") else 1.0 for way in ways}
        return seconds, dict.fromkeys(ways, np.array([bits]))

    monkeypatch.setattr(hashing, "_measure", measure)
    monkeypatch.setattr(sys, "argv", ["hashing", "--photos", str(tmp_path)])
    hashing.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == {"fast_vs_imagehash": 1.0, "exact_vs_imagehash": 1.0, "fast_within_2_bits": 1.0}
