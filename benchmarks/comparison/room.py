"""Where the scratch data lies, and whether there is room for more of it."""

import os
import shutil
from pathlib import Path

from .figures import GIB
from .verdicts import NotHere

#: A file system in memory, on Linux.
MEMORY = Path("/dev/shm")
#: What the machine keeps for everything else.
RESERVE = 2 * GIB


def scratch_place() -> Path:
    """The folder for scratch data. Raises NotHere where there is none in memory."""
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        raise NotHere(f"{MEMORY} is not here, and figures of a disk would say nothing")
    return MEMORY


def require(size: int, what: str) -> None:
    """Raises NotHere unless there is room for `size` bytes of scratch data in memory."""
    free = min(shutil.disk_usage(MEMORY).free, _available() - RESERVE)
    if free < size:
        raise NotHere(
            f"{what} needs {size / GIB:.0f} GiB in {MEMORY}, of which {max(free, 0) / GIB:.1f} "
            "are free"
        )


def _available() -> int:
    """Bytes that new programs could have: what is in MEMORY counts as taken."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
