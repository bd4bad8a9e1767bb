"""Large pictures, decoded and let go, leave nothing behind."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from concurrent.futures import ThreadPoolExecutor
from psutil import Process
from search.memory import keep_memory_flat
from search.photo import open_photo
from tests.search.test_memory import large_png
data = large_png()
if sys.argv[1] == "flat":
    assert keep_memory_flat()
decoder = ThreadPoolExecutor(1)
before = Process().memory_info().rss
for _ in range(4):
    decoder.submit(open_photo, data).result()
print((Process().memory_info().rss - before) / 2**20)
"""


def large_png() -> bytes:
    """Twenty megapixels, most of them of one colour."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (5000, 4000), (200, 10, 10)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _left(how: str) -> float:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_keep_memory_flat__gives_back_what_pictures_took() -> None:
    assert _left("flat") < 25
