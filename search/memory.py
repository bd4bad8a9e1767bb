"""Memory that is given back: glibc keeps what large pictures once took, unless it is told not to.

glibc raises the size from which it asks the kernel for a block of its own up to 32 MiB, with every large block that is
freed (mallopt(3), M_MMAP_THRESHOLD). Then pictures come from arenas, which keep what is freed below anything that is
still in use: after some hundred requests a service holds hundreds of megabytes that nobody uses.
"""

import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_LARGE: Final = 2**20  # bytes; larger blocks go back to the kernel the moment they are freed
_ARENAS: Final = 2  # threads that allocate at once are few: decoder, models, event loop


def keep_memory_flat() -> bool:
    """Set the allocator of this process, before there are threads; whether it is one that can be set (glibc)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {_MMAP_THRESHOLD: _LARGE, _TRIM_THRESHOLD: _LARGE, _ARENA_MAX: _ARENAS}
    return sys.platform == "linux" and all(mallopt(name, value) == 1 for name, value in settings.items())
